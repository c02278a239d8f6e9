// What is asked about topics besides their records.

import type { KafkaConnection } from './connect.ts'
import { CODE, KafkaError, Refused, accepted } from './error.ts'
import type { TopicMetadata } from './metadata.ts'
import { request } from './request.ts'
import type { Request } from './request.ts'
import { WireWriter } from './wire.ts'

/** Id and partitions of each topic. @throws KafkaError missing, denied, lost, unsupported */
export async function describeTopics(
  connection: KafkaConnection,
  topics: readonly string[],
): Promise<TopicMetadata[]> {
  const { topics: known } = await connection.metadata(topics)
  return topics.map((name) => {
    const topic = known.get(name)
    if (topic instanceof KafkaError) throw topic
    if (!topic) throw new KafkaError('lost', `cannot use topic "${name}": the broker did not say`)
    return topic
  })
}

export interface NewTopic {
  readonly name: string
  readonly partitions: number
  readonly replicas: number
  readonly settings: Readonly<Record<string, string>>
}

/**
 * Creates it; one that is there already is left as it is. Brokers may not know it for a moment.
 * @param options.only check whether it could be made (also the permission), and make nothing
 * @throws KafkaError denied, unsupported (fewer brokers than replicas, a setting refused), lost
 */
export async function createTopic(
  connection: KafkaConnection,
  topic: NewTopic,
  options: { readonly only?: boolean } = {},
): Promise<'created' | 'there'> {
  const limitMs = connection.requestTimeoutMs
  const { controller } = await connection.metadata([])
  const asked = createTopicOf(topic, limitMs, options.only === true)
  try {
    await connection.shared.ask(controller, asked, limitMs + GRACE_MS)
    return 'created'
  } catch (error) {
    if (error instanceof Refused && error.code === CODE.topicExists) return 'there'
    throw KafkaError.from(`cannot create topic "${topic.name}"`, error)
  }
}

/** Settings in force, by name of topic. @throws KafkaError denied, missing, lost */
export async function topicSettings(
  connection: KafkaConnection,
  topics: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  if (topics.length === 0) return new Map()
  return connection.ask(describeConfigsOf(topics))
}

export interface OffsetRange {
  readonly partition: number
  /** The first offset the broker keeps. */
  readonly start: number
  /** The next offset readers of committed records will see. */
  readonly end: number
}

/** @throws KafkaError missing, denied, lost */
export async function topicOffsets(
  connection: KafkaConnection,
  topic: string,
): Promise<OffsetRange[]> {
  const [described] = await describeTopics(connection, [topic])
  const partitions = described?.partitions ?? []
  const leaderless = partitions.find(({ leader }) => leader < 0)
  if (leaderless)
    throw new Refused(
      `cannot ask for the offsets of ${topic}/${leaderless.partition}`,
      CODE.leaderNotAvailable,
    )
  const byLeader = Map.groupBy(partitions, ({ leader }) => leader)
  const ranges = await Promise.all(
    [...byLeader].map(async ([leader, led]) => {
      const numbers = led.map(({ partition }) => partition)
      const ask = (at: number): Promise<Map<number, number>> =>
        connection.shared.ask(
          leader,
          listOffsetsOf(topic, numbers, at),
          connection.requestTimeoutMs,
        )
      const [starts, ends] = await Promise.all([ask(EARLIEST), ask(LATEST)])
      return numbers.map((partition) => ({
        partition,
        start: starts.get(partition) ?? 0,
        end: ends.get(partition) ?? 0,
      }))
    }),
  )
  return ranges.flat().toSorted((a, b) => a.partition - b.partition)
}

const LATEST = -1
const EARLIEST = -2
const READ_COMMITTED = 1
const TOPIC = 2
/** A broker that gives up by itself is waited for a little longer. */
const GRACE_MS = 1_000

function createTopicOf(topic: NewTopic, limitMs: number, only: boolean): Request<void> {
  const writer = new WireWriter()
  writer.compactArray([topic], ({ name, partitions, replicas, settings }) => {
    writer.compactString(name).int32(partitions).int16(replicas)
    // No brokers chosen by us.
    writer.compactArray([], () => {})
    writer
      .compactArray(Object.entries(settings), ([setting, value]) =>
        writer.compactString(setting).compactString(value).noTags(),
      )
      .noTags()
  })
  writer
    .int32(limitMs)
    .int8(only ? 1 : 0)
    .noTags()
  return request('CreateTopics', writer, (reader) => {
    reader.compactArray(() => {
      const name = reader.compactString()
      reader.uuid()
      accepted(`cannot create topic "${name}"`, reader.int16(), reader.compactString())
      reader.int32()
      reader.int16()
      reader.compactArray(() => {
        reader.compactString()
        reader.compactString()
        reader.int8()
        reader.int8()
        reader.int8()
        reader.tags()
      })
      reader.tags()
    })
  })
}

function describeConfigsOf(
  topics: readonly string[],
): Request<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const writer = new WireWriter()
  const ALL = null
  writer.compactArray(topics, (name) =>
    writer.int8(TOPIC).compactString(name).compactBytes(ALL).noTags(),
  )
  // No synonyms, no documentation.
  writer.int8(0).int8(0).noTags()
  return request('DescribeConfigs', writer, (reader) => {
    const all = reader.compactArray((): [string, Record<string, string>] => {
      const code = reader.int16()
      const words = reader.compactString()
      reader.int8()
      const name = reader.compactString() ?? ''
      accepted(`cannot read the settings of topic "${name}"`, code, words)
      const settings = reader.compactArray((): [string, string] => {
        const setting = reader.compactString() ?? ''
        const value = reader.compactString() ?? ''
        for (let bytes = 0; bytes < 3; bytes++) reader.int8()
        reader.compactArray(() => {
          reader.compactString()
          reader.compactString()
          reader.int8()
          reader.tags()
        })
        reader.int8()
        reader.compactString()
        reader.tags()
        return [setting, value]
      })
      reader.tags()
      return [name, Object.fromEntries(settings)]
    })
    return new Map(all)
  })
}

/** @param at LATEST or EARLIEST @returns offsets by partition */
function listOffsetsOf(
  topic: string,
  partitions: readonly number[],
  at: number,
): Request<Map<number, number>> {
  const writer = new WireWriter().int32(-1).int8(READ_COMMITTED)
  writer.compactArray([topic], (name) => {
    writer.compactString(name)
    writer
      .compactArray(partitions, (partition) => writer.int32(partition).int32(-1).int64(at).noTags())
      .noTags()
  })
  writer.noTags()
  return request('ListOffsets', writer, (reader) => {
    const topics = reader.compactArray(() => {
      reader.compactString()
      const offsets = reader.compactArray((): [number, number] => {
        const partition = reader.int32()
        accepted(`cannot ask for the offsets of "${topic}"`, reader.int16())
        reader.int64()
        const offset = reader.int64()
        reader.int32()
        reader.tags()
        return [partition, offset]
      })
      reader.tags()
      return offsets
    })
    return new Map(topics.flat())
  })
}
