// Topics as a source. A part is `topic/partition`, an ordinal an offset, an identity the topic's id,
// so a topic deleted and made again is another source and never read on as if nothing had happened.

import { describeTopics, topicOffsets } from '../../src/kafka/admin.ts'
import { KafkaConnection } from '../../src/kafka/connect.ts'
import { KafkaError } from '../../src/kafka/error.ts'
import { OutOfRange, readPartitions } from '../../src/kafka/read.ts'
import type { ReadBatch, ReadFrom } from '../../src/kafka/read.ts'
import type { KafkaRecord } from '../../src/kafka/records.ts'
import { makePosition, parsePosition } from '../../src/connector/mod.ts'
import type {
  ConnectorContext,
  OptionValues,
  PartLag,
  Positions,
  Source,
  SourceBatch,
  SourceRecord,
  Trouble,
} from '../../src/connector/mod.ts'
import type { SOURCE_OPTIONS } from './options.ts'
import { kafkaOptions } from './options.ts'

/** How often new partitions are looked for. */
const LOOK_EVERY_MS = 30_000

/** Where to begin, or why not. */
interface Start {
  readonly parts: readonly ReadFrom[]
  /** Parts met for the first time at another place than their beginning: their start must be kept. */
  readonly pins: readonly SourceBatch[]
  readonly trouble: Trouble | null
}

export class KafkaSource implements Source {
  readonly #connection: KafkaConnection
  readonly #topics: readonly string[]
  readonly #start: string
  readonly #context: ConnectorContext
  /** Ids of the topics read, once open. */
  #ids = new Map<string, string>()

  private constructor(
    connection: KafkaConnection,
    options: OptionValues<typeof SOURCE_OPTIONS>,
    context: ConnectorContext,
  ) {
    this.#connection = connection
    this.#topics = options.topics
    this.#start = options.start
    this.#context = context
  }

  static async make(
    options: OptionValues<typeof SOURCE_OPTIONS>,
    context: ConnectorContext,
  ): Promise<KafkaSource> {
    const connection = new KafkaConnection(await kafkaOptions(options, context))
    return new KafkaSource(connection, options, context)
  }

  async *open(positions: Positions, signal: AbortSignal): AsyncGenerator<SourceBatch | Trouble> {
    const held: Record<string, string> = { ...positions }
    while (!signal.aborted) {
      const grown = new AbortController()
      const stop = AbortSignal.any([signal, grown.signal])
      try {
        const { parts, pins, trouble } = await this.#begin(held)
        for (const pin of pins) {
          held[pin.part] = pin.to
          yield pin
        }
        if (trouble) return yield trouble
        this.#watchGrowth(parts.length, grown, stop)
        for await (const batch of readPartitions(this.#connection, parts, stop)) {
          const out = toBatch(batch)
          held[out.part] = out.to
          yield out
        }
      } catch (error) {
        if (signal.aborted) return
        return yield troubleOf(error)
      } finally {
        grown.abort()
      }
    }
  }

  async #begin(positions: Readonly<Record<string, string>>): Promise<Start> {
    const parts: ReadFrom[] = []
    const pins: SourceBatch[] = []
    for (const topic of await describeTopics(this.#connection, this.#topics)) {
      this.#ids.set(topic.name, topic.id)
      const names = topic.partitions.map(({ partition }) => `${topic.name}/${partition}`)
      const known = names.some((name) => positions[name] !== undefined)
      const unknown = names.some((name) => positions[name] === undefined)
      const ranges = unknown ? await topicOffsets(this.#connection, topic.name) : []
      for (const { partition } of topic.partitions) {
        const part = `${topic.name}/${partition}`
        const from = { topic: topic.name, topicId: topic.id, partition }
        const stored = positions[part]
        if (stored !== undefined) {
          const { ordinal, identity } = parsePosition(stored)
          if (identity !== null && identity !== topic.id) {
            const text =
              `topic "${topic.name}" was deleted and created again: it has id ${topic.id}, and what ` +
              `was read had ${identity}; to read the new one put a spout of another name`
            return { parts, pins, trouble: { kind: 'recreated', part, text } }
          }
          parts.push({ ...from, offset: ordinal })
          continue
        }
        const range = ranges.find((one) => one.partition === partition)
        // A partition added to a topic we read is read whole, whatever the start was.
        const latest = this.#start === 'latest' && !known
        const offset = (latest ? range?.end : range?.start) ?? 0
        parts.push({ ...from, offset })
        const at = makePosition(offset, topic.id)
        if (latest) pins.push({ kind: 'batch', part, from: at, to: at, records: [], bytes: 0 })
      }
    }
    return { parts, pins, trouble: null }
  }

  /** Ends the reading, to begin it again with all partitions, when there are more of them. */
  #watchGrowth(partitions: number, grown: AbortController, signal: AbortSignal): void {
    const look = async (): Promise<void> => {
      while (!signal.aborted) {
        await this.#context.sleep(LOOK_EVERY_MS, signal)
        if (signal.aborted) return
        // One that fails is asked again; what ails the brokers the reading itself says.
        const topics = await describeTopics(this.#connection, this.#topics).catch(() => [])
        const now = topics.reduce((sum, topic) => sum + topic.partitions.length, 0)
        if (now > partitions) grown.abort()
      }
    }
    void look()
  }

  /** The positions are in the commits; brokers need not know them. */
  async ack(_positions: Positions): Promise<void> {}

  async lag(): Promise<readonly PartLag[]> {
    const lags = await Promise.all(
      [...this.#ids].map(async ([topic, id]) =>
        (await topicOffsets(this.#connection, topic)).map(({ partition, end }) => ({
          part: `${topic}/${partition}`,
          end: makePosition(end, id),
        })),
      ),
    )
    return lags.flat()
  }

  async close(): Promise<void> {
    this.#connection.close()
  }
}

function toBatch(batch: ReadBatch): SourceBatch {
  return {
    kind: 'batch',
    part: `${batch.topic}/${batch.partition}`,
    from: makePosition(batch.from, batch.topicId),
    to: makePosition(batch.to, batch.topicId),
    records: batch.records.map(toRecord),
    bytes: batch.bytes,
  }
}

const NO_HEADERS: Readonly<Record<string, string>> = {}

function toRecord(record: KafkaRecord): SourceRecord {
  const { key, value, headers, timestampMs, offset } = record
  return {
    key,
    value,
    headers:
      headers.length === 0
        ? NO_HEADERS
        : Object.fromEntries(headers.map(([name, bytes]) => [name, bytes?.toString() ?? ''])),
    timestampMs: timestampMs < 0 ? null : timestampMs,
    ordinal: offset,
  }
}

function troubleOf(error: unknown): Trouble {
  if (error instanceof OutOfRange) {
    const part = `${error.topic}/${error.partition}`
    const { offset, start, end } = error
    if (offset < start)
      return {
        kind: 'gap',
        part,
        text: `${part}: records ${offset} to ${start - 1} are gone from Kafka before they were read`,
        from: makePosition(offset, error.topicId),
        to: makePosition(start, error.topicId),
      }
    return {
      kind: 'recreated',
      part,
      text: `${part}: Kafka ends at ${end}, before ${offset} that was read: records were lost there`,
    }
  }
  const known = KafkaError.from('cannot read from Kafka', error)
  switch (known.kind) {
    case 'recreated':
      return { kind: 'lost', text: known.message }
    case 'denied':
    case 'unsupported':
      return { kind: 'fatal', text: known.message }
    default:
      return { kind: 'lost', text: known.message }
  }
}
