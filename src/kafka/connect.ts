import { channel } from 'node:diagnostics_channel'
import type { Kafka, KafkaConfig } from 'kafkajs'
import { kafkajs, makeCluster } from './kafkajs.ts'
import type { WireCluster } from './kafkajs.ts'
import { KafkaError } from './error.ts'

export interface KafkaOptions {
  /** `host:port` */
  readonly brokers: readonly string[]
  readonly clientId?: string
  readonly ssl?: KafkaConfig['ssl']
  readonly sasl?: KafkaConfig['sasl']
  /** Default 10 s. */
  readonly connectTimeoutMs?: number
  /** Default 30 s. */
  readonly requestTimeoutMs?: number
}

/** What rooms above listen to instead of a logger: {level, text, …}. */
const logs = channel('varve:kafka')

const RETRY = { initialRetryTime: 100, maxRetryTime: 5_000, retries: 5 }

/** A cluster to talk to; clients of it are made as needed and closed with it. */
export class KafkaConnection {
  readonly options: KafkaOptions
  readonly #kafka: Kafka
  readonly #common: Readonly<Record<string, unknown>>
  #cluster: WireCluster | undefined

  constructor(options: KafkaOptions) {
    this.options = options
    const { Kafka, logLevel } = kafkajs()
    this.#common = {
      brokers: [...options.brokers],
      clientId: options.clientId ?? 'varve',
      ssl: options.ssl,
      sasl: options.sasl,
      connectionTimeout: options.connectTimeoutMs ?? 10_000,
      requestTimeout: options.requestTimeoutMs ?? 30_000,
      enforceRequestTimeout: true,
      retry: RETRY,
    }
    this.#kafka = new Kafka({
      ...this.#common,
      logLevel: logLevel.WARN,
      logCreator: () => publish,
    })
  }

  /** kafkajs itself, for producers and administration. */
  get client(): Kafka {
    return this.#kafka
  }

  /** Connected and authenticated. @throws KafkaError lost */
  async cluster(): Promise<WireCluster> {
    const cluster =
      this.#cluster ??
      makeCluster(
        {
          ...this.#common,
          authenticationTimeout: 10_000,
          reauthenticationThreshold: 10_000,
          metadataMaxAge: 300_000,
          allowAutoTopicCreation: false,
          maxInFlightRequests: null,
          isolationLevel: 1,
        },
        this.#kafka.logger(),
      )
    this.#cluster = cluster
    try {
      await cluster.connect()
    } catch (error) {
      throw KafkaError.from(`cannot connect to Kafka at ${this.options.brokers.join(', ')}`, error)
    }
    return cluster
  }

  async close(): Promise<void> {
    const cluster = this.#cluster
    this.#cluster = undefined
    await cluster?.disconnect()
  }
}

function publish(entry: { namespace: string; label: string; log: { message: string } }): void {
  if (!logs.hasSubscribers) return
  logs.publish({
    level: entry.label.toLowerCase(),
    text: entry.log.message,
    namespace: entry.namespace,
  })
}
