// The parts of kafkajs 2.2.4 we stand on, and two repairs made at run time. The version is pinned;
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

export interface WireBroker {
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

export interface WireCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  refreshMetadata(): Promise<void>
  removeBroker(address: { host: string; port: number }): void
  findBroker(node: { nodeId: number | string }): Promise<WireBroker>
  getNodeIds(): number[]
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
