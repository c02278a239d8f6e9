import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Connector, SinkSpec, SourceSpec } from './connector.ts'
import { isObject } from './options.ts'

/** `{kafka: {…}}`: which connector, and its options as written. */
export interface Chosen<Spec> {
  readonly name: string
  readonly spec: Spec
  readonly given: unknown
}

/** @throws VarveError INVALID_SPEC with the nearest connector's name */
export function chooseSource(connectors: readonly Connector[], given: unknown): Chosen<SourceSpec> {
  const able = connectors.filter((connector) => connector.source !== null)
  const { connector, options } = choose(able, given, 'source')
  return { name: connector.name, spec: connector.source as SourceSpec, given: options }
}

/** @throws VarveError INVALID_SPEC with the nearest connector's name */
export function chooseSink(connectors: readonly Connector[], given: unknown): Chosen<SinkSpec> {
  const able = connectors.filter((connector) => connector.sink !== null)
  const { connector, options } = choose(able, given, 'sink')
  return { name: connector.name, spec: connector.sink as SinkSpec, given: options }
}

function choose(
  connectors: readonly Connector[],
  given: unknown,
  where: string,
): { connector: Connector; options: unknown } {
  const names = connectors.map((connector) => connector.name)
  const keys = isObject(given) ? Object.keys(given) : []
  const [name] = keys
  if (name === undefined || keys.length !== 1)
    throw new VarveError(
      'INVALID_SPEC',
      `cannot use "${where}": it names one connector and its options, {${names.join(' | ')}: {…}}, ` +
        `and here it is ${JSON.stringify(given) ?? 'missing'}`,
    )
  const connector = connectors.find((one) => one.name === name)
  if (!connector) {
    const near = nearest(name, names)
    throw new VarveError(
      'INVALID_SPEC',
      `cannot use "${where}.${name}": there is no such connector` +
        (near ? `; did you mean "${near}"?` : `; there are ${names.join(', ')}`),
    )
  }
  return { connector, options: (given as Record<string, unknown>)[name] }
}
