import { channel } from 'node:diagnostics_channel'
import type { Kafka, KafkaConfig } from 'kafkajs'
import { systemClock } from '../base/clock.ts'
import { systemRandom } from '../base/random.ts'
import { kafkajs, makeCluster } from './kafkajs.ts'
import type { WireBroker, WireCluster } from './kafkajs.ts'
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

/** Few: a broker that hangs is asked again and again within them, and callers try again anyway. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 2_000, retries: 2 }

/** A cluster to talk to; clients of it are made as needed and closed with it. */
export class KafkaConnection {
  readonly options: KafkaOptions
  readonly #kafka: Kafka
  readonly #common: Readonly<Record<string, unknown>>
  #cluster: WireCluster | undefined
  #closed = false

  constructor(options: KafkaOptions) {
    this.options = options
    const { Kafka, logLevel } = kafkajs()
    this.#common = {
      // Whom a new client asks first: always the same one would mean always the one that hangs.
      brokers: () => shuffled(options.brokers),
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

  /** Connected and authenticated. @throws KafkaError lost, denied */
  async cluster(): Promise<WireCluster> {
    if (this.#closed) throw new KafkaError('lost', 'cannot connect to Kafka: it was closed')
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

  /** Any broker that is connected. @throws KafkaError lost, denied */
  async broker(): Promise<WireBroker> {
    const cluster = await this.cluster()
    try {
      return await cluster.brokerPool.findConnectedBroker()
    } catch (error) {
      throw KafkaError.from(`cannot connect to Kafka at ${this.options.brokers.join(', ')}`, error)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const cluster = this.#cluster
    this.#cluster = undefined
    await cluster?.disconnect()
  }
}

/** What a client that keeps trying says again and again is worth one line in this time. */
const SAME_AGAIN_MS = 60_000
const said = new Map<string, number>()

function shuffled<T>(all: readonly T[]): T[] {
  const order = all.map((one) => ({ one, at: systemRandom.next() }))
  return order.toSorted((a, b) => a.at - b.at).map(({ one }) => one)
}

function publish(entry: { namespace: string; label: string; log: { message: string } }): void {
  if (!logs.hasSubscribers) return
  const text = entry.log.message
  const nowMs = systemClock.monotonicMs()
  const lastMs = said.get(text)
  if (lastMs !== undefined && nowMs - lastMs < SAME_AGAIN_MS) return
  if (said.size >= 1_000) said.clear()
  said.set(text, nowMs)
  logs.publish({ level: entry.label.toLowerCase(), text, namespace: entry.namespace })
}
