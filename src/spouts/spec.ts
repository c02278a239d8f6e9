// What a person writes to have a spout, and what the host reads of it.
//
//   spout: {name: orders}
//   source: {kafka: {bootstrap.servers: "localhost:9092", topics: orders}}
//   target: orders@master
//   commit: {records: 50000, ageMs: 5000}

import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Connector } from '../connector/connector.ts'
import { FORMATS } from '../connector/formats.ts'
import type { FormatName } from '../connector/formats.ts'
import type { OptionValues } from '../connector/options.ts'
import { isObject, readOptions } from '../connector/options.ts'
import { chooseSource } from '../connector/registry.ts'
import { parseName } from '../model/name.ts'
import { parseRef, refVersion } from '../model/ref.ts'
import type { SpoutPut } from '../model/ops.ts'

/** When the open range becomes a commit: whichever is reached first. */
export const COMMIT_OPTIONS = {
  records: { type: 'integer', default: 50_000, min: 1, help: 'at this many records' },
  bytes: { type: 'integer', default: 16 * 1024 * 1024, min: 1, help: 'at this many bytes' },
  ageMs: { type: 'integer', default: 5_000, min: 1, help: 'when its first record is this old' },
  idleMs: { type: 'integer', default: 500, min: 1, help: 'when nothing came for so long' },
  minIntervalMs: { type: 'integer', default: 0, help: 'but not sooner after the last commit' },
} as const

const SPOUT_OPTIONS = {
  format: {
    type: 'text',
    oneOf: FORMATS,
    default: 'raw',
    help: 'how a record becomes a line: its value, its value checked to be JSON, or an envelope',
  },
  poison: {
    type: 'text',
    oneOf: ['halt', 'quarantine'],
    default: 'halt',
    help: 'a record that cannot be a line: stop, or keep it under "_poison/" in the same commit',
  },
  gap: {
    type: 'text',
    oneOf: ['halt', 'accept'],
    default: 'halt',
    help: 'records gone from the source before they were read: stop, or go on behind them',
  },
} as const

export type CommitPolicy = OptionValues<typeof COMMIT_OPTIONS>

export interface SpoutSpec {
  readonly source: unknown
  readonly commit: CommitPolicy
  readonly format: FormatName
  readonly poison: 'halt' | 'quarantine'
  readonly gap: 'halt' | 'accept'
}

const KEYS = ['spout', 'source', 'target', 'commit', ...Object.keys(SPOUT_OPTIONS)]

/**
 * Checks the whole document, the connector's options too. The target is `repo[@branch]`, by default
 * a repo named like the spout.
 * @throws VarveError INVALID_SPEC, INVALID_OPTION, INVALID_REF
 */
export function readSpoutDocument(
  document: Readonly<Record<string, unknown>>,
  connectors: readonly Connector[],
): SpoutPut {
  const head = document['spout']
  if (!isObject(head) || typeof head['name'] !== 'string')
    throw new VarveError('INVALID_SPEC', 'cannot use the spout: "spout.name" is missing')
  const name = parseName('spout', head['name'])
  for (const key of Object.keys(document)) {
    if (KEYS.includes(key)) continue
    const near = nearest(key, KEYS)
    throw new VarveError(
      'INVALID_SPEC',
      `cannot use "${key}" in spout "${name}"${near ? `; did you mean "${near}"?` : ''}`,
    )
  }
  const target = document['target'] ?? name
  if (typeof target !== 'string')
    throw new VarveError(
      'INVALID_SPEC',
      `cannot use "target" of spout "${name}": write repo@branch`,
    )
  const ref = parseRef(target)
  readSpoutSpec(document)
  const chosen = chooseSource(connectors, document['source'])
  readOptions(chosen.spec.options, chosen.given, `source.${chosen.name}`)
  return { name, repo: ref.repo, branch: refVersion(ref), spec: document }
}

/** The host's view of a stored spec. @throws VarveError INVALID_OPTION */
export function readSpoutSpec(spec: Readonly<Record<string, unknown>>): SpoutSpec {
  const own = Object.fromEntries(Object.keys(SPOUT_OPTIONS).map((key) => [key, spec[key]]))
  const values = readOptions(SPOUT_OPTIONS, own, 'spout')
  return {
    source: spec['source'],
    commit: readOptions(COMMIT_OPTIONS, spec['commit'], 'commit'),
    format: values.format as SpoutSpec['format'],
    poison: values.poison as SpoutSpec['poison'],
    gap: values.gap as SpoutSpec['gap'],
  }
}
