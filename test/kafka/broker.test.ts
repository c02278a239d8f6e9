// A connection to a broker that answers late, in pieces, wrongly or not at all.

import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { KafkaConnection } from '../../src/kafka/connect.ts'
import { WireWriter } from '../../src/kafka/wire.ts'

const servers: Server[] = []
const connections: KafkaConnection[] = []

/** What a broker does with the bytes of one request, without its size. */
type Broker = (request: Buffer, socket: Socket) => void

async function listen(broker: Broker): Promise<string> {
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0)
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

afterEach(() => {
  for (const connection of connections.splice(0)) connection.close()
  for (const server of servers.splice(0)) server.close()
})

const [METADATA, API_VERSIONS] = [3, 18]

function frame(id: number, body: WireWriter, tagged: boolean): Buffer {
  const head = new WireWriter().int32(id)
  if (tagged) head.noTags()
  const bytes = Buffer.concat([head.bytes(), body.bytes()])
  return Buffer.concat([new WireWriter().int32(bytes.length).bytes(), bytes])
}

/** Answers both requests of a metadata question; the cluster it tells of has no brokers and topics. */
function answer(request: Buffer, { newest = 20 } = {}): Buffer {
  const id = request.readInt32BE(4)
  if (request.readInt16BE(0) === API_VERSIONS) {
    const body = new WireWriter().int16(0)
    body.compactArray([METADATA], (key) => body.int16(key).int16(0).int16(newest).noTags())
    return frame(id, body.int32(0).noTags(), false)
  }
  const body = new WireWriter().int32(0)
  body.compactArray([], () => {})
  body.compactString('cluster').int32(1)
  body.compactArray([], () => {})
  return frame(id, body.int32(0).noTags(), true)
}

function connect(...brokers: string[]): KafkaConnection {
  const connection = new KafkaConnection({ brokers, connectTimeoutMs: 500, requestTimeoutMs: 500 })
  connections.push(connection)
  return connection
}

const answers: Broker = (request, socket) => void socket.write(answer(request))
const hangs: Broker = () => {}

test('an answer that comes byte by byte, and two at once, are whole', async () => {
  const held: Buffer[] = []
  const slow = await listen((request, socket) => {
    const bytes = answer(request)
    if (request.readInt16BE(0) === API_VERSIONS)
      for (const byte of bytes) socket.write(Buffer.from([byte]))
    else {
      held.push(bytes)
      if (held.length === 2) socket.write(Buffer.concat(held))
    }
  })
  const connection = connect(slow)
  const both = await Promise.all([connection.metadata([]), connection.metadata([])])
  expect(both.map(({ controller }) => controller)).toEqual([1, 1])
})

test('one of two hangs: the other answers, and is asked first from then on', async () => {
  let hung = 0
  const silent = await listen(() => void hung++)
  const well = await listen(answers)
  const connection = connect(silent, well)
  for (let i = 0; i < 5; i++) await connection.metadata([])
  expect(hung).toBeLessThanOrEqual(1)
})

test('all hang: it fails, says where, and opens a new connection the next time', async () => {
  let opened = 0
  const silent = await listen((request, socket) => {
    if (request.readInt16BE(0) === API_VERSIONS && ++opened === 1) return
    socket.write(answer(request))
  })
  const connection = connect(silent)
  await expect(connection.metadata([])).rejects.toThrow(/127\.0\.0\.1:\d+: no answer in \d+ ms/)
  await connection.metadata([])
  expect(opened).toBe(2)
})

test.each([
  ['closes the connection', (_: Buffer, socket: Socket) => void socket.destroy(), /lost|closed/],
  [
    'speaks another protocol',
    (_: Buffer, socket: Socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    /does not speak the protocol/,
  ],
  [
    'answers another question',
    (request: Buffer, socket: Socket) => {
      const bytes = Buffer.from(request)
      bytes.writeInt32BE(77, 4)
      socket.write(answer(bytes))
    },
    /no question/,
  ],
  [
    'ends in the middle of an answer',
    (request: Buffer, socket: Socket) => void socket.end(answer(request).subarray(0, 9)),
    /closed/,
  ],
])('one that %s is lost, in words', async (_, broker, words) => {
  const connection = connect(await listen(broker))
  await expect(connection.metadata([])).rejects.toMatchObject({
    kind: 'lost',
    message: expect.stringMatching(words) as string,
  })
})

test('a broker of an older version is refused by name', async () => {
  const old = await listen((request, socket) => void socket.write(answer(request, { newest: 9 })))
  await expect(connect(old).metadata([])).rejects.toMatchObject({
    kind: 'unsupported',
    message: expect.stringContaining('versions 0 to 9 of Metadata') as string,
  })
})

test('closed, what waits fails at once', async () => {
  const connection = connect(await listen(hangs))
  const waiting = connection.metadata([])
  const failed = expect(waiting).rejects.toMatchObject({ kind: 'lost' })
  setTimeout(() => connection.close(), 20)
  await failed
  await expect(connection.metadata([])).rejects.toThrow(/closed/)
})
