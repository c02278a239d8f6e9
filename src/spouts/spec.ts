// A spout's document as its host reads it: the model checks its shape, the connector its options, and
// this file the rest and the defaults.

import type { Chosen } from '../connector/registry.ts'
import type { Connector, SourceSpec } from '../connector/connector.ts'
import type { FormatName } from '../connector/formats.ts'
import { chooseSource } from '../connector/registry.ts'
import type { SpoutPut } from '../model/ops.ts'
import { isPlain, refuseSpec } from '../model/spec-fields.ts'
import { parseSpoutDocument } from '../model/spec-stream.ts'

/** When the open range becomes a commit: whichever is reached first. */
export interface CommitPolicy {
  readonly records: number
  readonly bytes: number
  /** Since the first record in hand. */
  readonly ageMs: number
  /** Since the newest record in hand. */
  readonly idleMs: number
  /** Between two commits, at least. */
  readonly minIntervalMs: number
}

const DEFAULT_POLICY: CommitPolicy = {
  records: 50_000,
  bytes: 16 * 1024 * 1024,
  ageMs: 5_000,
  idleMs: 500,
  minIntervalMs: 0,
}

export interface SpoutSpec {
  readonly source: Chosen<SourceSpec>
  readonly commit: CommitPolicy
  readonly format: FormatName
  /** A record that cannot be a line: stop, or keep it under `_poison/` in the same commit. */
  readonly poison: 'halt' | 'quarantine'
  /** Records gone from the source before they were read: stop, or go on behind them. */
  readonly gap: 'halt' | 'accept'
}

/** @throws VarveError INVALID_SPEC with details {pointer} */
export function readSpoutDocument(
  document: Readonly<Record<string, unknown>>,
  connectors: readonly Connector[],
): SpoutPut {
  const { name, target } = parseSpoutDocument(document)
  readSpoutSpec(document, connectors)
  return { name, ...target, spec: document }
}

/** The same of a stored document. @throws VarveError INVALID_SPEC with details {pointer} */
export function readSpoutSpec(
  document: Readonly<Record<string, unknown>>,
  connectors: readonly Connector[],
): SpoutSpec {
  const { source, commit, rest } = parseSpoutDocument(document)
  for (const field of ['layout', 'limits', 'drift'])
    if (rest[field] !== undefined) refuseSpec(`/${field}`, `cannot use "${field}": not yet`)
  return {
    source: chooseSource(connectors, source),
    commit: { ...DEFAULT_POLICY, ...commit },
    format: readFormat(rest['format'], rest['envelope']),
    poison: readDeadLetters(rest['deadLetters']),
    gap: readGap(rest['gap']),
  }
}

function readFormat(format: unknown, envelope: unknown): FormatName {
  if (envelope === true) return 'envelope'
  if (format === undefined || format === 'raw') return 'raw'
  if (format === 'ndjson') return 'ndjson'
  return refuseSpec('/format', `cannot use ${JSON.stringify(format)}: raw or ndjson`)
}

function readGap(gap: unknown): SpoutSpec['gap'] {
  if (gap === undefined || gap === 'halt') return 'halt'
  if (gap === 'accept') return 'accept'
  return refuseSpec('/gap', `cannot use ${JSON.stringify(gap)}: halt or accept`)
}

/** `deadLetters: {}` keeps them; without it the first one stops the spout. */
function readDeadLetters(given: unknown): SpoutSpec['poison'] {
  if (given === undefined || given === false) return 'halt'
  if (given === true || isPlain(given)) return 'quarantine'
  return refuseSpec('/deadLetters', `cannot use ${JSON.stringify(given)}: true or an object`)
}
