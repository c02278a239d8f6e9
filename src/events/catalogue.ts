// Every type of public event, with the ids of its schemas. Invariants:
// - an id means one schema for ever: it is in the bytes of messages others keep. Never reuse one;
// - the ids of a type are those of its versions 1, 2, 3 …; a new version adds fields (`since`) to the
//   noun in nouns.ts and one id to each of its types here, the next free one of the whole table.
// What was released is kept in schemas/events/released, and a test holds this table against it.

import { avroRecord } from './shape.ts'
import type { AvroRecord, Fields } from './shape.ts'
import { fingerprint } from './canonical.ts'
import { BRANCH, COMMIT, COMMON, EGRESS, JOB, PIPELINE, POOL, REPO, SPOUT } from './nouns.ts'

export interface EventType {
  /** CloudEvents' type: `dev.varve.commit.finished.v1` */
  readonly type: string
  /** The record's full name in Avro: `dev.varve.commit.v1.CommitFinished` */
  readonly fullName: string
  readonly doc: string
  /** Oldest first; the last is the one we write. */
  readonly versions: readonly [SchemaVersion, ...SchemaVersion[]]
}

export interface SchemaVersion {
  readonly id: number
  /** 1, 2, 3 … */
  readonly version: number
  readonly schema: AvroRecord
  /** CRC-64-AVRO of the canonical form, 16 hex digits. */
  readonly fingerprint: string
}

type Ids = readonly [number, ...number[]]

interface Declared {
  readonly ids: Ids
  readonly record: string
  readonly noun: string
  readonly fields: Fields
  readonly doc: string
}

/** A type of event of a noun, under the word for what happened. */
function of(noun: string, own: Fields, common: Fields = COMMON) {
  const fields = { ...common, ...own }
  return (ids: Ids, what: string, doc: string): Declared => {
    const word = what.charAt(0).toUpperCase() + what.slice(1)
    return { ids, record: noun.charAt(0).toUpperCase() + noun.slice(1) + word, noun, fields, doc }
  }
}

const commit = of('commit', COMMIT)
const branch = of('branch', BRANCH)
const pipeline = of('pipeline', PIPELINE)
const job = of('job', JOB)
const spout = of('spout', SPOUT)
const egress = of('egress', EGRESS)
const repo = of('repo', REPO)
const pool = of('pool', POOL, {})

const DECLARED = {
  'commit.opened': commit([1], 'opened', 'A commit came to be: by a person, a spout or a pipeline'),
  'commit.finished': commit([2], 'finished', 'A commit ended with a result and can be read'),
  'commit.failed': commit([3], 'failed', 'A commit ended without a result; state and why say how'),
  'commit.dropped': commit([23], 'dropped', 'A commit can be read no more; this is what it was'),
  'branch.created': branch([4], 'created', 'A branch came to be'),
  'branch.moved': branch(
    [5],
    'moved',
    'A person moved the head; a commit that finishes is told itself',
  ),
  'branch.deleted': branch([6], 'deleted', 'A branch was deleted; this is what it was'),
  'pipeline.put': pipeline([7], 'put', 'A pipeline was made or changed'),
  'pipeline.stopped': pipeline([8], 'stopped', 'A pipeline was stopped: no job of it starts'),
  'pipeline.started': pipeline([9], 'started', 'A stopped pipeline was started again'),
  'pipeline.deleted': pipeline([10], 'deleted', 'A pipeline was deleted; this is what it was'),
  'job.started': job([11], 'started', 'A job has its plan, and workers may take of it'),
  'job.finished': job([12], 'finished', 'A job ended, well or not: state says which'),
  'spout.put': spout([13], 'put', 'A spout was made or changed'),
  'spout.state': spout([14], 'state', 'A spout was paused, paused itself, or goes on'),
  'spout.deleted': spout([15], 'deleted', 'A spout was deleted; this is what it was'),
  'egress.put': egress([16], 'put', 'An egress was made or changed'),
  'egress.state': egress([17], 'state', 'An egress was paused, paused itself, or goes on'),
  'egress.delivered': egress([18], 'delivered', 'An egress delivered records; progress says where'),
  'egress.deleted': egress([19], 'deleted', 'An egress was deleted; this is what it was'),
  'repo.created': repo([20], 'created', 'A repo came to be'),
  'repo.deleted': repo([21], 'deleted', 'A repo was deleted'),
  'pool.state': pool(
    [22],
    'state',
    'A pool of workers is hindered, by something else than before, or goes on; only on the topic',
  ),
} as const satisfies Readonly<Record<string, Declared>>

/** `commit.finished` and so on. */
export type EventName = keyof typeof DECLARED

let made: readonly EventType[] | undefined
const byType = new Map<string, EventType>()

/** All of them; made when first asked for, which a server that nobody asks is spared. */
export function eventTypes(): readonly EventType[] {
  if (!made) {
    made = Object.entries(DECLARED).map(([name, declared]) => makeType(name, declared))
    for (const one of made) byType.set(one.type, one)
  }
  return made
}

/** `commit.finished` gives `dev.varve.commit.finished.v1`. */
export function typeName(name: EventName): string {
  return `dev.varve.${name}.v1`
}

/** @throws Error on a type that there is not */
export function eventType(type: string): EventType {
  eventTypes()
  const found = byType.get(type)
  if (!found) throw new Error(`there is no event of the type "${type}"`)
  return found
}

/** The version that is written now. */
export function newest({ versions }: EventType): SchemaVersion {
  return versions.at(-1) as SchemaVersion
}

function makeType(name: string, { ids, record, noun, fields, doc }: Declared): EventType {
  const namespace = `dev.varve.${noun}.v1`
  const [first, ...later] = ids.map((id, at) => {
    const shape = { record, doc, fields }
    const schema = avroRecord(shape, namespace, at + 1)
    return { id, version: at + 1, schema, fingerprint: fingerprint(schema) }
  })
  return {
    type: typeName(name as EventName),
    fullName: `${namespace}.${record}`,
    doc,
    versions: [first as SchemaVersion, ...later],
  }
}
