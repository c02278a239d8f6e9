// The parts of kafkajs 2.2.4 we stand on, and repairs made at run time. The version is pinned;
// nothing outside this room knows which client it is.
//
// We use its connections, authentication, metadata for leaders and its producer. We do not use its
// consumer: on an out-of-range position it silently goes on elsewhere, its filter of aborted
// transactions delivers aborted records, an emptied batch stops it for ever, and it cannot tell a
// recreated topic. read.ts fetches by itself over the same connections.

import { createRequire } from 'node:module'
import { zstdCompressSync, zstdDecompressSync, constants } from 'node:zlib'
import type { Kafka } from 'kafkajs'

export interface WireRequest {
  readonly apiKey: number
  readonly apiVersion: number
  readonly apiName: string
  /** An Encoder of kafkajs: all the connection uses of it is `buffer` and `size()`. */
  encode(): Promise<{ readonly buffer: Buffer; size(): number }>
}

export interface WireProtocol<T> {
  readonly request: WireRequest
  readonly response: {
    decode(payload: Buffer): Promise<{ clientSideThrottleTime: number; value: T }>
    parse(data: { value: T }): Promise<T>
  }
  readonly logResponseError: boolean
}

export interface WireBroker extends GroupRequests {
  readonly nodeId: number
  isConnected(): boolean
  connect(): Promise<void>
  disconnect(): Promise<void>
  readonly versions: Readonly<Record<number, { minVersion: number; maxVersion: number }>>
  readonly connectionPool: {
    readonly host: string
    readonly port: number
    send<T>(protocol: WireProtocol<T>): Promise<T>
  }
}

/** What a member of a group asks of its coordinator. All throw on the protocol's errors. */
export interface GroupRequests {
  joinGroup(request: {
    groupId: string
    sessionTimeout: number
    rebalanceTimeout: number
    memberId: string
    groupProtocols: readonly { name: string; metadata: Buffer }[]
  }): Promise<{
    generationId: number
    leaderId: string
    memberId: string
    members: readonly { memberId: string; memberMetadata: Buffer }[]
  }>
  syncGroup(request: {
    groupId: string
    generationId: number
    memberId: string
    groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[]
  }): Promise<{ memberAssignment: Buffer }>
  heartbeat(request: {
    groupId: string
    groupGenerationId: number
    memberId: string
  }): Promise<unknown>
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
  offsetCommit(request: {
    groupId: string
    groupGenerationId: number
    memberId: string
    topics: readonly {
      topic: string
      partitions: readonly { partition: number; offset: string; metadata: string }[]
    }[]
  }): Promise<unknown>
  offsetFetch(request: {
    groupId: string
    topics: readonly { topic: string; partitions: readonly { partition: number }[] }[]
  }): Promise<{
    responses: readonly {
      topic: string
      partitions: readonly { partition: number; offset: string; metadata: string | null }[]
    }[]
  }>
}

export interface WireCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  refreshMetadata(): Promise<void>
  removeBroker(address: { host: string; port: number }): void
  findBroker(node: { nodeId: number | string }): Promise<WireBroker>
  findGroupCoordinator(group: { groupId: string }): Promise<WireBroker>
  /** `findConnectedBroker`: any that answers, the first one too, before metadata is known. */
  readonly brokerPool: { findConnectedBroker(): Promise<WireBroker> }
  findTopicPartitionMetadata(
    topic: string,
  ): { partitionId: number; leader: number; partitionErrorCode: number }[]
  fetchTopicsOffset(
    topics: readonly {
      topic: string
      partitions: readonly { partition: number }[]
      fromBeginning?: boolean
      fromTimestamp?: number
    }[],
  ): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>
}

interface Kafkajs {
  readonly Kafka: new (options: object) => Kafka
  readonly logLevel: { readonly WARN: number; readonly INFO: number }
  readonly CompressionTypes: { readonly ZSTD: 4; readonly None: 0 }
  readonly CompressionCodecs: Record<number, unknown>
}

interface Encoder {
  readonly buffer: Buffer
  size(): number
  writeBufferInternal(buffer: Buffer): void
}

interface RequestQueue {
  throttledUntil: number
  throttleCheckTimeoutId: unknown
  readonly pending: readonly unknown[]
  checkPendingRequests(): void
}

const require = createRequire(import.meta.filename)

let loaded: Kafkajs | undefined

/** kafkajs with our repairs; loaded at the first call only. */
export function kafkajs(): Kafkajs {
  if (loaded) return loaded
  const library = require('kafkajs') as Kafkajs
  repairRequestQueue()
  repairConnection()
  library.CompressionCodecs[library.CompressionTypes.ZSTD] = () => ({
    compress: async ({ buffer }: { buffer: Buffer }) =>
      zstdCompressSync(buffer, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
    decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
  })
  loaded = library
  return library
}

/** Bytes as the connection wants a request's body. */
export function asEncoder(bytes: Buffer): { readonly buffer: Buffer; size(): number } {
  const Encoder = require('kafkajs/src/protocol/encoder') as new (size: number) => Encoder
  const encoder = new Encoder(bytes.length)
  encoder.writeBufferInternal(bytes)
  return encoder
}

/** @param options what kafkajs's Cluster takes, without logger and socket factory */
export function makeCluster(
  options: Readonly<Record<string, unknown>>,
  logger: unknown,
): WireCluster {
  const Cluster = require('kafkajs/src/cluster') as new (options: object) => WireCluster
  const socketFactory = require('kafkajs/src/network/socketFactory') as () => unknown
  return new Cluster({ ...options, logger, socketFactory: socketFactory() })
}

/**
 * Without it every idle connection sets a timer of a negative or zero wait again and again: Node
 * warns (TimeoutNegativeWarning), and a processor core is kept a few percent busy. Nothing pending
 * and not throttled: nothing to schedule.
 */
function repairRequestQueue(): void {
  const Queue = require('kafkajs/src/network/requestQueue') as {
    prototype: RequestQueue & Record<string, unknown>
  }
  const CHECK_EVERY_MS = 10
  Queue.prototype['scheduleCheckPendingRequests'] = function (this: RequestQueue): void {
    const throttledMs = this.throttledUntil - Date.now()
    if (this.throttleCheckTimeoutId) return
    if (this.pending.length === 0 && throttledMs <= 0) return
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null
        this.checkPendingRequests()
      },
      throttledMs > 0 ? throttledMs : CHECK_EVERY_MS,
    )
  }
}

interface Connection {
  readonly connectionTimeout: number
  readonly broker: string
  isConnected(): boolean
  connect(): Promise<unknown>
  disconnect(): Promise<unknown>
  send(protocol: { readonly requestTimeout?: number | null }): Promise<unknown>
  readonly requestTimeout: number
  leaving?: Promise<unknown> | undefined
  failure(what: string): Error
  rejectRequests(error: Error): void
  readonly socket?: { setMaxListeners(count: number): void }
  /** What came of an answer that is not whole yet. */
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  connecting?: Promise<unknown> | undefined
}

/**
 * Without it, connecting again after a connection broke in the middle of an answer reads what was left
 * of it as the beginning of the next one, and no request is answered rightly any more; callers that
 * connect at the same time open a socket each and write to one that is not open yet; a connection
 * closed by the other side before it stood is waited for for ever; and so is, while disconnecting, the
 * answer of a broker that hangs, because a connection that is going down counts no time any more, and
 * takes along a socket that was opened meanwhile.
 */
function repairConnection(): void {
  const { prototype } = require('kafkajs/src/network/connection') as { prototype: Connection }
  const { KafkaJSConnectionError } = require('kafkajs/src/errors') as {
    KafkaJSConnectionError: new (message: string, about: { broker: string }) => Error
  }
  const SIZE_BYTES = 4
  const GRACE_MS = 1_000
  const { connect, disconnect, send } = prototype
  prototype.send = function (this: Connection, protocol): Promise<unknown> {
    const limitMs = Math.max(this.requestTimeout, protocol.requestTimeout ?? 0) + GRACE_MS
    const answer = within(limitMs, send.call(this, protocol), () => this.failure('no answer'))
    // The library goes on to another broker when a connection fails, but not when one hangs: it prefers
    // those that are connected, and keeps the one it asked first.
    return answer.catch((error: Error) => {
      if (error.name !== 'KafkaJSRequestTimeoutError') throw error
      void this.disconnect()
      throw this.failure('no answer in time')
    })
  }
  prototype.failure = function (this: Connection, what: string): Error {
    return new KafkaJSConnectionError(`${what} from ${this.broker}`, { broker: this.broker })
  }
  prototype.disconnect = function (this: Connection): Promise<unknown> {
    if (this.leaving) return this.leaving
    const reject = setTimeout(
      () => this.rejectRequests(this.failure('disconnected, no answer')),
      GRACE_MS,
    )
    const left = within(2 * GRACE_MS, disconnect.call(this), () => this.failure('no end'))
    // Never rejects: the library calls it where nobody would hear.
    this.leaving = left
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(reject)
        this.leaving = undefined
      })
    return this.leaving
  }
  prototype.connect = function (this: Connection): Promise<unknown> {
    // A connection that is going down would take the new socket with it.
    if (this.leaving) return this.leaving.then(() => this.connect())
    if (this.isConnected()) return Promise.resolve(true)
    if (this.connecting) return this.connecting
    this.chunks = []
    this.bytesBuffered = 0
    this.bytesNeeded = SIZE_BYTES
    const connected = connect.call(this)
    // Each further `disconnect` of a connection that is down leaves a listener: no reason to warn.
    this.socket?.setMaxListeners(0)
    const limitMs = this.connectionTimeout + GRACE_MS
    const connecting = within(limitMs, connected, () => this.failure('no connection'))
    this.connecting = connecting.finally(() => {
      this.connecting = undefined
    })
    return this.connecting
  }
}

/** @throws what `failure` makes, when it takes longer */
function within<T>(limitMs: number, work: Promise<T>, failure: () => Error): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const limit = setTimeout(() => reject(failure()), limitMs)
  return Promise.race([work, late]).finally(() => clearTimeout(limit))
}
