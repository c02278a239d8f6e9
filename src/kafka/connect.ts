// Who the brokers of a cluster are, and connections to them. A broker that hangs with its connections
// open is the case that decides the shape: nobody waits for one broker where another can answer, and
// nobody asks first whom failed last.

import { channel } from 'node:diagnostics_channel'
import type { ConnectionOptions } from 'node:tls'
import { systemClock } from '../base/clock.ts'
import { systemRandom } from '../base/random.ts'
import { BrokerConnection } from './broker.ts'
import { KafkaError } from './error.ts'
import type { Login } from './login.ts'
import { metadataOf } from './metadata.ts'
import type { ClusterMetadata } from './metadata.ts'
import type { Request } from './request.ts'

export interface KafkaOptions {
  /** `host:port` */
  readonly brokers: readonly string[]
  readonly clientId?: string
  readonly ssl?: ConnectionOptions
  readonly sasl?: Login
  /** To be connected and logged in. Default 10 s. */
  readonly connectTimeoutMs?: number
  /** Default 30 s. */
  readonly requestTimeoutMs?: number
}

/** What rooms above listen to instead of a logger: {text}, of a connection that failed. */
const logs = channel('varve:kafka')

/** Whoever any broker can answer asks the next one after this time. */
const NEXT_AFTER_MS = 1_000

/** A cluster to talk to. */
export class KafkaConnection {
  readonly options: KafkaOptions
  readonly requestTimeoutMs: number
  /** Addresses by number, as metadata named them last. */
  #nodes: ReadonlyMap<number, string> = new Map()
  /** When an address failed last, by the monotonic clock, while nothing of it came since. */
  readonly #failedMs = new Map<string, number>()
  readonly #all = new Set<Brokers>()
  /** For questions that are answered at once. */
  readonly shared: Brokers
  #closed = false

  constructor(options: KafkaOptions) {
    this.options = options
    this.requestTimeoutMs = options.requestTimeoutMs ?? 30_000
    this.shared = this.brokers()
  }

  /** Connections of the caller's own: what waits on them holds up nobody else. */
  brokers(): Brokers {
    const brokers: Brokers = new Brokers({
      open: (address, signal) => this.#open(address, signal),
      addressOf: (node) => this.#nodes.get(node),
      closed: () => this.#all.delete(brokers),
    })
    this.#all.add(brokers)
    return brokers
  }

  /** Brokers and topics, leaders among them, as some broker knows them now. @throws KafkaError */
  async metadata(topics: readonly string[]): Promise<ClusterMetadata> {
    const metadata = await this.ask(metadataOf(topics))
    this.#nodes = new Map(metadata.brokers.map(({ nodeId, address }) => [nodeId, address]))
    return metadata
  }

  /**
   * What any broker can answer, and what does no harm asked twice: the first answer counts.
   * @throws KafkaError lost when none answers; denied, unsupported at once
   */
  async ask<T>(request: Request<T>): Promise<T> {
    const asked: Promise<T>[] = []
    const errors: unknown[] = []
    for (const address of this.#byTrust()) {
      const answer = this.shared.ask(address, request, this.requestTimeoutMs)
      answer.catch((error: unknown) => errors.push(error))
      asked.push(answer)
      const first = await settledWithin(NEXT_AFTER_MS, asked)
      if (first) return first.value
      const definite = errors.find(isDefinite)
      if (definite) throw definite
    }
    try {
      return await Promise.any(asked)
    } catch {
      const words = errors.find(isDefinite) ?? errors[0]
      throw KafkaError.from(
        `cannot connect to Kafka at ${this.options.brokers.join(', ')}`,
        words ?? 'it was closed',
      )
    }
  }

  /** The nodes metadata named, then where we were told to begin; whoever failed last comes last. */
  #byTrust(): string[] {
    if (this.#closed) return []
    const nodes = [...new Set(this.#nodes.values())]
    const seeds = this.options.brokers.filter((seed) => !nodes.includes(seed))
    return [nodes, seeds].flatMap((all) =>
      all
        .map((address) => ({
          address,
          failed: this.#failedMs.get(address) ?? 0,
          at: systemRandom.next(),
        }))
        .toSorted((a, b) => a.failed - b.failed || a.at - b.at)
        .map(({ address }) => address),
    )
  }

  async #open(address: string, signal: AbortSignal): Promise<BrokerConnection> {
    if (this.#closed) throw new KafkaError('lost', 'cannot connect to Kafka: it was closed')
    const { clientId = 'varve', ssl, sasl, connectTimeoutMs = 10_000 } = this.options
    const given = { clientId, ssl, sasl, connectTimeoutMs }
    const connection = await BrokerConnection.open(address, given, signal, (error) => {
      this.#failedMs.set(address, systemClock.monotonicMs())
      say(error.message)
    })
    this.#failedMs.delete(address)
    return connection
  }

  /** What waits fails. */
  close(): void {
    this.#closed = true
    for (const brokers of this.#all) brokers.close()
  }
}

interface BrokersFrom {
  readonly open: (address: string, signal: AbortSignal) => Promise<BrokerConnection>
  readonly addressOf: (node: number) => string | undefined
  readonly closed: () => void
}

/** Connections to brokers, one each: opened at the first question, and anew after a failure. */
export class Brokers {
  readonly #from: BrokersFrom
  readonly #open = new Map<string, Promise<BrokerConnection>>()
  #stop = new AbortController()

  constructor(from: BrokersFrom) {
    this.#from = from
  }

  /**
   * @param to `host:port`, or the number of a node that metadata named
   * @throws KafkaError lost, denied, unsupported, and what the request's reader throws
   */
  async ask<T>(to: string | number, request: Request<T>, limitMs: number): Promise<T> {
    const address = typeof to === 'string' ? to : this.#from.addressOf(to)
    if (address === undefined) throw new KafkaError('lost', `no broker has the number ${to}`)
    return (await this.#connection(address)).ask(request, limitMs)
  }

  async #connection(address: string): Promise<BrokerConnection> {
    const opening = this.#open.get(address)
    if (opening) {
      const connection = await opening
      if (connection.usable) return connection
      connection.retire()
    }
    // Whoever came first in the meantime has opened it for all.
    const other = this.#open.get(address)
    if (other && other !== opening) return this.#connection(address)
    const again = this.#from.open(address, this.#stop.signal)
    this.#open.set(address, again)
    again.catch(() => {
      if (this.#open.get(address) === again) this.#open.delete(address)
    })
    return again
  }

  /** What waits fails; asked again it opens again. */
  reset(): void {
    this.#end()
    this.#stop = new AbortController()
  }

  /** For ever: what is asked later fails as well. */
  close(): void {
    this.#end()
    this.#from.closed()
  }

  #end(): void {
    this.#stop.abort()
    for (const opening of this.#open.values())
      opening.then((connection) => connection.close()).catch(() => undefined)
    this.#open.clear()
  }
}

function isDefinite(error: unknown): error is KafkaError {
  return error instanceof KafkaError && ['denied', 'unsupported'].includes(error.kind)
}

/** The first that succeeds; undefined when none has in that time, or all failed. */
async function settledWithin<T>(
  limitMs: number,
  all: readonly Promise<T>[],
): Promise<{ readonly value: T } | undefined> {
  const enough = new AbortController()
  const first = Promise.any(all).then(
    (value) => ({ value }),
    () => undefined,
  )
  const late = systemClock.sleep(limitMs, enough.signal).then(() => undefined)
  const result = await Promise.race([first, late])
  enough.abort()
  return result
}

/** What a client that keeps trying says again and again is worth one line in this time. */
const SAME_AGAIN_MS = 60_000
const said = new Map<string, number>()

function say(text: string): void {
  if (!logs.hasSubscribers) return
  const nowMs = systemClock.monotonicMs()
  const lastMs = said.get(text)
  if (lastMs !== undefined && nowMs - lastMs < SAME_AGAIN_MS) return
  if (said.size >= 1_000) said.clear()
  said.set(text, nowMs)
  logs.publish({ text })
}
