// The top of a spout's and an egress's document. Options of a connector are kept as they are: the
// connector declares and checks them.

import type { BranchKey } from './entities.ts'
import { DEFAULT_BRANCH, isName, parseName } from './name.ts'
import { Fields, compact, durationMs, isPlain, pointerTo, refuseSpec } from './spec-fields.ts'
import type { Plain } from './spec-fields.ts'
import { isVarveError } from '../base/errors.ts'

/** One connector with its options: `{kafka: {…}}`. */
export interface ConnectorUse {
  readonly connector: string
  readonly options: Plain
  /** JSON pointer of the options in the document, for the connector's own refusals. */
  readonly pointer: string
}

/** When what is in hand becomes a commit; the first of them that is reached. */
export interface CommitPolicy {
  readonly records?: number
  readonly bytes?: number
  /** Milliseconds since the first record in hand. */
  readonly ageMs?: number
  /** Milliseconds without a new record. */
  readonly idleMs?: number
  /** Milliseconds between two commits, at least. */
  readonly minIntervalMs?: number
}

export interface SpoutDocument {
  readonly name: string
  readonly project: string | undefined
  readonly description: string | undefined
  readonly source: ConnectorUse
  readonly target: BranchKey
  readonly commit: CommitPolicy
  /** Everything else (layout, format, envelope, limits, drift, gap, deadLetters): for the spout host. */
  readonly rest: Plain
}

export interface EgressDocument {
  readonly name: string
  readonly project: string | undefined
  readonly description: string | undefined
  readonly from: BranchKey
  readonly sink: ConnectorUse
  readonly mode: 'append' | 'upsert' | 'replace'
}

function parseHead(fields: Fields, kind: 'spout' | 'egress'): { name: string; project?: string } {
  const head = fields.object(kind, `the name of the ${kind}`)
  if (!head) return fields.missing(kind)
  try {
    const name = parseName(kind, head.requiredString('name'))
    const project = head.string('project')
    head.end()
    return project === undefined ? { name } : { name, project }
  } catch (error) {
    if (isVarveError(error, 'INVALID_OPTION')) refuseSpec(head.at('name'), error.message)
    throw error
  }
}

function parseBranch(fields: Fields, field: string): BranchKey {
  const text = fields.requiredString(field)
  const [repo, branch = DEFAULT_BRANCH, ...more] = text.split('@')
  if (!repo || !isName(repo) || !isName(branch) || more.length > 0)
    fields.refuse(field, `expected repo@branch, found "${text}"`)
  return { repo: repo as string, branch }
}

function parseConnector(fields: Fields, field: 'source' | 'sink'): ConnectorUse {
  const value = fields.raw(field)
  if (!isPlain(value)) return fields.refuse(field, 'expected one connector and its options')
  const [first, ...others] = Object.keys(value)
  if (first === undefined || others.length > 0)
    return fields.refuse(
      field,
      `expected one connector, found ${others.length ? others.length + 1 : 'none'}`,
    )
  const options = value[first] ?? {}
  const pointer = pointerTo(fields.at(field), first)
  if (!isPlain(options)) return refuseSpec(pointer, `cannot read "${first}": expected its options`)
  return { connector: first, options, pointer }
}

function wait(fields: Fields, name: string): number | undefined {
  const inMs = fields.int(`${name}Ms`, 0)
  const text = fields.duration(name)
  if (inMs !== undefined && text !== undefined)
    fields.refuse(name, `it is given twice, also as "${name}Ms"`)
  return inMs ?? (text === undefined ? undefined : durationMs(text))
}

/** @throws VarveError INVALID_SPEC with details {pointer, field, nearest} */
export function parseSpoutDocument(value: unknown): SpoutDocument {
  const fields = new Fields(value, '', 'the spout')
  fields.raw('$schema')
  const { name, project } = parseHead(fields, 'spout')
  const source = parseConnector(fields, 'source')
  const target = parseBranch(fields, 'target')
  const policy = fields.object('commit', 'the commit policy')
  const commit = compact<CommitPolicy>({
    records: policy?.int('records', 1),
    bytes: policy?.int('bytes', 1),
    ageMs: policy && wait(policy, 'age'),
    idleMs: policy && wait(policy, 'idle'),
    minIntervalMs: policy && wait(policy, 'minInterval'),
  })
  policy?.end({ cron: 'give "age"', boundary: 'give "records" or "age"' })
  const description = fields.string('description')
  const rest: Record<string, unknown> = {}
  for (const field of ['layout', 'format', 'envelope', 'limits', 'drift', 'gap', 'deadLetters']) {
    const given = fields.raw(field)
    if (given !== undefined) rest[field] = given
  }
  fields.end()
  return { name, project, description, source, target, commit, rest }
}

/** @throws VarveError INVALID_SPEC with details {pointer, field, nearest} */
export function parseEgressDocument(value: unknown): EgressDocument {
  const fields = new Fields(value, '', 'the egress')
  fields.raw('$schema')
  const { name, project } = parseHead(fields, 'egress')
  const from = parseBranch(fields, 'from')
  const sink = parseConnector(fields, 'sink')
  const mode = fields.oneOf('mode', ['append', 'upsert', 'replace']) ?? 'append'
  const description = fields.string('description')
  fields.end()
  return { name, project, description, from, sink, mode }
}
