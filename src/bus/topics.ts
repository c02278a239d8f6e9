// How each topic of our own is kept. An adapter on real brokers makes them so, and refuses to start on
// topics that are kept otherwise.

import { TOPICS } from './bus.ts'

/** Partitions of the topics of the log, fixed for ever: a project's shard is its partition. */
export const SHARDS = 64

export interface TopicSpec {
  readonly partitions: number
  /** The partition is computed from a name, so another number would scatter what belongs together. */
  readonly partitionsFixed: boolean
  /** At least so long; brokers may keep messages longer. */
  readonly retentionMs: number
  /** Of one message as it is sent; brokers may take larger ones. */
  readonly maxMessageBytes: number
  /** `log`: retention goes by the broker's clock, whatever ours says. `create`: the time is for readers. */
  readonly timestamps: 'log' | 'create'
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
const MIB = 1024 * 1024

const bell = { partitionsFixed: false, maxMessageBytes: MIB, timestamps: 'log' } as const

/** No topic is compacted: messages are bells, and a key says nothing about what it replaces. */
export const TOPIC_SPECS: Readonly<Record<string, TopicSpec>> = {
  [TOPICS.proposals]: {
    partitions: SHARDS,
    partitionsFixed: true,
    retentionMs: 7 * DAY,
    maxMessageBytes: 4 * MIB,
    timestamps: 'log',
  },
  [TOPICS.log]: { ...bell, partitions: SHARDS, partitionsFixed: true, retentionMs: 7 * DAY },
  [TOPICS.datums]: { ...bell, partitions: 8, retentionMs: DAY },
  [TOPICS.lines]: { ...bell, partitions: 8, retentionMs: DAY },
  [TOPICS.status]: { ...bell, partitions: 8, retentionMs: HOUR },
  // As they came: the partitions of the proposals.
  [TOPICS.deadLetters]: {
    partitions: SHARDS,
    partitionsFixed: false,
    retentionMs: 30 * DAY,
    maxMessageBytes: 4 * MIB,
    timestamps: 'log',
  },
  [TOPICS.events]: {
    partitions: SHARDS,
    partitionsFixed: true,
    retentionMs: 30 * DAY,
    maxMessageBytes: MIB,
    timestamps: 'create',
  },
}
