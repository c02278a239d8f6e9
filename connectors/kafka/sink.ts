// A topic as a sink: in order, one send in flight, acknowledged by all replicas, each record with its
// id in the header `varve-record-id`.

import { describeTopics } from '../../src/kafka/admin.ts'
import { KafkaConnection } from '../../src/kafka/connect.ts'
import { KafkaError } from '../../src/kafka/error.ts'
import { partitionOf } from '../../src/kafka/murmur2.ts'
import type { WriteRecord } from '../../src/kafka/produce.ts'
import { KafkaWriter } from '../../src/kafka/write.ts'
import { keyAt } from '../../src/connector/mod.ts'
import type {
  ConnectorContext,
  Coordinates,
  OptionValues,
  Sink,
  SinkBatch,
  SinkRecord,
  Trouble,
} from '../../src/connector/mod.ts'
import type { SINK_OPTIONS } from './options.ts'
import { kafkaOptions } from './options.ts'

export class KafkaSink implements Sink {
  readonly #connection: KafkaConnection
  readonly #writer: KafkaWriter
  readonly #topic: string
  readonly #key: string | undefined
  #partitions = 0
  /** Offsets written since the last `commit`, by partition. */
  #written: Record<string, { from: string; to: string }> = {}

  private constructor(connection: KafkaConnection, options: OptionValues<typeof SINK_OPTIONS>) {
    this.#connection = connection
    this.#topic = options.topic
    this.#key = options.key
    this.#writer = new KafkaWriter(connection, options.topic)
  }

  static async make(
    options: OptionValues<typeof SINK_OPTIONS>,
    context: ConnectorContext,
  ): Promise<KafkaSink> {
    return new KafkaSink(new KafkaConnection(await kafkaOptions(options, context)), options)
  }

  async open(_delivered: Coordinates | null): Promise<{ readonly at: Coordinates } | Trouble> {
    try {
      const [topic] = await describeTopics(this.#connection, [this.#topic])
      this.#partitions = topic?.partitions.length ?? 0
      return { at: this.#coordinates() }
    } catch (error) {
      return troubleOf(error)
    }
  }

  async write(batch: SinkBatch): Promise<Trouble | null> {
    try {
      const written = await this.#writer.send(batch.records.map((record) => this.#record(record)))
      for (const [partition, { from, to }] of Object.entries(written))
        this.#written[partition] = { from: this.#written[partition]?.from ?? from, to }
      return null
    } catch (error) {
      return troubleOf(error)
    }
  }

  #record({ id, value }: SinkRecord): WriteRecord {
    const key = this.#key === undefined ? null : keyAt(this.#key, value)
    // Without a key the id chooses, so that the same record goes to the same partition again.
    const partition = partitionOf(key ?? Buffer.from(id), this.#partitions)
    return { partition, key, value, headers: { 'varve-record-id': id } }
  }

  async commit(): Promise<{ readonly at: Coordinates } | Trouble> {
    const at = this.#coordinates()
    this.#written = {}
    return { at }
  }

  #coordinates(): Coordinates {
    return { topic: this.#topic, offsets: this.#written }
  }

  async close(): Promise<void> {
    await this.#writer.close()
    this.#connection.close()
  }
}

function troubleOf(error: unknown): Trouble {
  const known = KafkaError.from('cannot write to Kafka', error)
  const fatal = ['denied', 'too-large', 'unsupported'].includes(known.kind)
  return { kind: fatal ? 'fatal' : 'lost', text: known.message }
}
