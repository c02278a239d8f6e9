// An egress's document as its host reads it.

import type { Connector, SinkSpec } from '../connector/connector.ts'
import type { Chosen } from '../connector/registry.ts'
import { chooseSink } from '../connector/registry.ts'
import type { EgressPut } from '../model/ops.ts'
import { refuseSpec } from '../model/spec-fields.ts'
import { parseEgressDocument } from '../model/spec-stream.ts'

/** @throws VarveError INVALID_SPEC with details {pointer} */
export function readEgressDocument(
  document: Readonly<Record<string, unknown>>,
  connectors: readonly Connector[],
): EgressPut {
  const { name, from } = parseEgressDocument(document)
  readEgressSpec(document, connectors)
  return { name, ...from, spec: document }
}

/** The sink of a stored document. @throws VarveError INVALID_SPEC with details {pointer} */
export function readEgressSpec(
  document: Readonly<Record<string, unknown>>,
  connectors: readonly Connector[],
): Chosen<SinkSpec> {
  const { sink, mode } = parseEgressDocument(document)
  if (mode !== 'append') refuseSpec('/mode', `cannot use "${mode}": only append, so far`)
  return chooseSink(connectors, sink)
}
