// Brokers that say what a real one will not say on demand.

import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { KafkaConnection } from '../../src/kafka/connect.ts'
import type { KafkaOptions } from '../../src/kafka/connect.ts'
import { encodeBatch } from '../../src/kafka/produce.ts'
import { APIS } from '../../src/kafka/request.ts'
import type { ApiName } from '../../src/kafka/request.ts'
import { WireReader, WireWriter } from '../../src/kafka/wire.ts'

const servers: Server[] = []
const sockets = new Set<Socket>()
const connections: KafkaConnection[] = []

/** What a broker does with the bytes of one request, without its size. */
export type Broker = (request: Buffer, socket: Socket) => void

export async function listen(broker: Broker): Promise<string> {
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0)
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
        const size = bytes.readInt32BE(0)
        broker(bytes.subarray(4, 4 + size), socket)
        bytes = bytes.subarray(4 + size)
      }
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

export function connect(
  brokers: string | readonly string[],
  more: Partial<KafkaOptions> = {},
): KafkaConnection {
  const connection = new KafkaConnection({
    brokers: [brokers].flat(),
    connectTimeoutMs: 500,
    requestTimeoutMs: 500,
    ...more,
  })
  connections.push(connection)
  return connection
}

/** Connections that somebody holds open, to all of them. */
export function open(): number {
  return sockets.size
}

export function closeAll(): void {
  for (const connection of connections.splice(0)) connection.close()
  for (const server of servers.splice(0)) server.close()
}

export function frame(id: number, body: WireWriter, tagged: boolean): Buffer {
  const head = new WireWriter().int32(id)
  if (tagged) head.noTags()
  const bytes = Buffer.concat([head.bytes(), body.bytes()])
  return Buffer.concat([new WireWriter().int32(bytes.length).bytes(), bytes])
}

/** @returns what follows the header of the answer; undefined: none ever comes */
export type Answer = (request: WireReader) => WireWriter | undefined | Promise<WireWriter>

/** Knows all versions we ask; a request without an answer of its own hangs. */
export function broker(answers: () => Partial<Record<ApiName, Answer>>): Promise<string> {
  return listen((bytes, socket) => {
    const reader = new WireReader(bytes)
    const key = reader.int16()
    reader.int16()
    const id = reader.int32()
    reader.string()
    const api = (Object.keys(APIS) as ApiName[]).find((name) => APIS[name].key === key)
    if (!api || api === 'ApiVersions') return void socket.write(frame(id, versions(), false))
    reader.tags()
    void Promise.resolve(answers()[api]?.(reader)).then(
      (body) => body && socket.write(frame(id, body, true)),
    )
  })
}

function versions(): WireWriter {
  const body = new WireWriter().int16(0)
  body.compactArray(Object.values(APIS), ({ key }) => body.int16(key).int16(0).int16(99).noTags())
  return body.int32(0).noTags()
}

export const TOPIC_ID = 'ab'.repeat(16)

/**
 * A cluster whose brokers are numbered as they stand, with one topic `t`.
 * @param leaders by partition @param gone a topic that was asked for and is not there
 */
export function metadata(
  brokers: readonly string[],
  leaders: readonly number[],
  gone?: string,
): WireWriter {
  const body = new WireWriter().int32(0)
  body.compactArray([...brokers.entries()], ([node, address]) => {
    const [host = '', port] = address.split(':')
    body.int32(node).compactString(host).int32(Number(port)).compactString(null).noTags()
  })
  body.compactString('cluster').int32(0)
  body.compactArray(gone === undefined ? ['t'] : ['t', gone], (name) => {
    const there = name === 't' ? [...leaders.entries()] : []
    body.int16(name === 't' ? 0 : 3).compactString(name)
    body.uuid(TOPIC_ID).int8(0)
    body.compactArray(there, ([partition, leader]) => {
      body.int16(leader < 0 ? 5 : 0).int32(partition)
      body.int32(leader).int32(0)
      for (let copies = 0; copies < 3; copies++)
        body.compactArray([leader], (one) => body.int32(one))
      body.noTags()
    })
    body.int32(-2_147_483_648).noTags()
  })
  return body.int32(-2_147_483_648).noTags()
}

/** The offsets of empty partitions. */
export function ends(partitions: readonly number[]): WireWriter {
  const body = new WireWriter().int32(0)
  body.compactArray(['t'], (name) => {
    body.compactString(name)
    body.compactArray(partitions, (partition) => {
      body.int32(partition).int16(0).int64(-1).int64(0).int32(0).noTags()
    })
    body.noTags()
  })
  return body.noTags()
}

/** Of a fetch: the partitions asked for, at which offsets. */
export function fetchOf(request: WireReader): { partition: number; offset: number }[] {
  for (let words = 0; words < 4; words++) request.int32()
  request.int8()
  request.int32()
  request.int32()
  const topics = request.compactArray(() => {
    request.uuid()
    const parts = request.compactArray(() => {
      const partition = request.int32()
      request.int32()
      const offset = request.int64()
      request.int32()
      request.int64()
      request.int32()
      request.tags()
      return { partition, offset }
    })
    request.tags()
    return parts
  })
  return topics.flat()
}

export interface Fetched {
  readonly partition: number
  readonly code?: number
  /** One record at this offset. */
  readonly at?: number
}

export function fetched(parts: readonly Fetched[]): WireWriter {
  const body = new WireWriter().int32(0).int16(0).int32(0)
  body.compactArray([TOPIC_ID], (id) => {
    body.uuid(id)
    body.compactArray(parts, ({ partition, code = 0, at }) => {
      body.int32(partition).int16(code)
      body.int64(0).int64(0).int64(0)
      body.compactArray([], () => {})
      body.int32(-1).compactBytes(at === undefined ? Buffer.alloc(0) : recordAt(at))
      body.noTags()
    })
    body.noTags()
  })
  return body.noTags()
}

function recordAt(offset: number): Buffer {
  const batch = encodeBatch([{ partition: 0, key: null, value: Buffer.from('v') }], 0)
  batch.writeBigInt64BE(BigInt(offset), 0)
  return batch
}

/** Of a produce: the batches by partition. */
export function producedOf(request: WireReader): Map<number, Buffer> {
  request.compactString()
  request.int16()
  request.int32()
  const topics = request.compactArray(() => {
    request.compactString()
    const parts = request.compactArray((): [number, Buffer] => {
      const part: [number, Buffer] = [request.int32(), request.compactBytes() ?? Buffer.alloc(0)]
      request.tags()
      return part
    })
    request.tags()
    return parts
  })
  return new Map(topics.flat())
}

export interface Produced {
  readonly partition: number
  readonly code?: number
  readonly offset?: number
}

export function produced(parts: readonly Produced[]): WireWriter {
  const body = new WireWriter()
  body.compactArray(['t'], (name) => {
    body.compactString(name)
    body.compactArray(parts, ({ partition, code = 0, offset = -1 }) => {
      body.int32(partition).int16(code).int64(offset).int64(-1).int64(0)
      body.compactArray([], () => {})
      body.compactString(null).noTags()
    })
    body.noTags()
  })
  return body.int32(0).noTags()
}
