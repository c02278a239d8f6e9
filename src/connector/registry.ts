// From what a document names to a connector and its checked options.

import { isVarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import { pointerTo, refuseSpec } from '../model/spec-fields.ts'
import type { ConnectorUse } from '../model/spec-stream.ts'
import type { Connector, SinkSpec, SourceSpec } from './connector.ts'
import { readOptions } from './options.ts'
import type { OptionValues } from './options.ts'

export interface Chosen<Spec extends SourceSpec | SinkSpec> {
  readonly spec: Spec
  readonly options: OptionValues<Spec['options']>
}

/** @throws VarveError INVALID_SPEC with details {pointer} and the nearest name */
export function chooseSource(
  connectors: readonly Connector[],
  use: ConnectorUse,
): Chosen<SourceSpec> {
  const able = connectors.filter((connector) => connector.source !== null)
  return checked(find(able, use).source as SourceSpec, use)
}

/** @throws VarveError INVALID_SPEC with details {pointer} and the nearest name */
export function chooseSink(connectors: readonly Connector[], use: ConnectorUse): Chosen<SinkSpec> {
  const able = connectors.filter((connector) => connector.sink !== null)
  return checked(find(able, use).sink as SinkSpec, use)
}

function find(connectors: readonly Connector[], use: ConnectorUse): Connector {
  const connector = connectors.find((one) => one.name === use.connector)
  if (connector) return connector
  const names = connectors.map((one) => one.name)
  const near = nearest(use.connector, names)
  const hint = near ? `; did you mean "${near}"?` : `; there are ${names.join(', ')}`
  return refuseSpec(use.pointer, `cannot use "${use.connector}": there is no such connector${hint}`)
}

function checked<Spec extends SourceSpec | SinkSpec>(spec: Spec, use: ConnectorUse): Chosen<Spec> {
  try {
    return { spec, options: readOptions(spec.options, use.options, use.connector) }
  } catch (error) {
    if (!isVarveError(error, 'INVALID_OPTION')) throw error
    const option = error.details?.['option']
    const pointer = typeof option === 'string' ? pointerTo(use.pointer, option) : use.pointer
    return refuseSpec(pointer, error.message)
  }
}
