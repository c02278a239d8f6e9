// What a person writes to have an egress, and what the host reads of it.
//
//   egress: {name: results}
//   input: results@master
//   sink: {kafka: {bootstrap.servers: "localhost:9092", topic: results, key: /id}}

import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Connector } from '../connector/connector.ts'
import { isObject, readOptions } from '../connector/options.ts'
import { chooseSink } from '../connector/registry.ts'
import { parseName } from '../model/name.ts'
import { parseRef, refVersion } from '../model/ref.ts'
import type { EgressPut } from '../model/ops.ts'

export const EGRESS_OPTIONS = {
  start: {
    type: 'text',
    oneOf: ['first', 'head'],
    default: 'first',
    help: 'deliver the branch from its first commit on, or the head as one and what follows',
  },
  batchRecords: {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    help: 'progress is recorded at least after so many; what a kill may send twice',
  },
  batchBytes: {
    type: 'integer',
    default: 8 * 1024 * 1024,
    min: 1,
    help: 'and at least after so many bytes',
  },
} as const

export interface EgressSpec {
  readonly sink: unknown
  readonly start: 'first' | 'head'
  readonly batchRecords: number
  readonly batchBytes: number
}

const KEYS = ['egress', 'input', 'sink', ...Object.keys(EGRESS_OPTIONS)]

/** @throws VarveError INVALID_SPEC, INVALID_OPTION, INVALID_REF */
export function readEgressDocument(
  document: Readonly<Record<string, unknown>>,
  connectors: readonly Connector[],
): EgressPut {
  const head = document['egress']
  if (!isObject(head) || typeof head['name'] !== 'string')
    throw new VarveError('INVALID_SPEC', 'cannot use the egress: "egress.name" is missing')
  const name = parseName('egress', head['name'])
  for (const key of Object.keys(document)) {
    if (KEYS.includes(key)) continue
    const near = nearest(key, KEYS)
    throw new VarveError(
      'INVALID_SPEC',
      `cannot use "${key}" in egress "${name}"${near ? `; did you mean "${near}"?` : ''}`,
    )
  }
  const input = document['input']
  if (typeof input !== 'string')
    throw new VarveError(
      'INVALID_SPEC',
      `cannot use "input" of egress "${name}": write repo@branch`,
    )
  const ref = parseRef(input)
  readEgressSpec(document)
  const chosen = chooseSink(connectors, document['sink'])
  readOptions(chosen.spec.options, chosen.given, `sink.${chosen.name}`)
  return { name, repo: ref.repo, branch: refVersion(ref), spec: document }
}

/** The host's view of a stored spec. @throws VarveError INVALID_OPTION */
export function readEgressSpec(spec: Readonly<Record<string, unknown>>): EgressSpec {
  const own = Object.fromEntries(Object.keys(EGRESS_OPTIONS).map((key) => [key, spec[key]]))
  const values = readOptions(EGRESS_OPTIONS, own, 'egress')
  return { ...values, start: values.start as EgressSpec['start'], sink: spec['sink'] }
}
