// A connection to a broker that answers late, in pieces, wrongly or not at all.

import type { Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { metadataOf } from '../../src/kafka/metadata.ts'
import { WireWriter } from '../../src/kafka/wire.ts'
import { closeAll, connect, frame, listen, open } from './fake.ts'
import type { Broker } from './fake.ts'

afterEach(closeAll)

const [METADATA, API_VERSIONS] = [3, 18]

/** Answers both requests of a metadata question; the cluster it tells of has no brokers and topics. */
function answer(request: Buffer, { newest = 20, throttledMs = 0 } = {}): Buffer {
  const id = request.readInt32BE(4)
  if (request.readInt16BE(0) === API_VERSIONS) {
    const body = new WireWriter().int16(0)
    body.compactArray([METADATA], (key) => body.int16(key).int16(0).int16(newest).noTags())
    return frame(id, body.int32(0).noTags(), false)
  }
  const body = new WireWriter().int32(throttledMs)
  body.compactArray([], () => {})
  body.compactString('cluster').int32(1)
  body.compactArray([], () => {})
  return frame(id, body.int32(0).noTags(), true)
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
  const connection = connect([silent, well])
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

test('connections of a caller who closed them are not opened again', async () => {
  const address = await listen(answers)
  const own = connect(address).brokers()
  const ask = (): Promise<unknown> => own.ask(address, metadataOf([]), 500)
  await ask()
  own.reset()
  await ask()
  own.close()
  await expect(ask()).rejects.toThrow(/closed/)
  while (open() > 0) await systemClock.sleep(5)
})

test('closed while the broker throttles: what is held back fails at once', async () => {
  const throttledMs = 60_000
  const connection = connect(
    await listen((request, socket) => void socket.write(answer(request, { throttledMs }))),
  )
  await connection.metadata([])
  const held = expect(connection.metadata([])).rejects.toMatchObject({ kind: 'lost' })
  await systemClock.sleep(20)
  connection.close()
  await held
})

test('a broker that is slow at each step of the login has one time for all of them', async () => {
  const address = await listen((request, socket) => {
    const id = request.readInt32BE(4)
    const [handshake, authenticate] = [17, 36]
    const key = request.readInt16BE(0)
    const body = new WireWriter()
    if (key === API_VERSIONS) {
      body.int16(0)
      body.compactArray([handshake, authenticate], (one) => {
        body.int16(one).int16(0).int16(9).noTags()
      })
      body.int32(0).noTags()
    } else body.int16(0).int32(0)
    setTimeout(() => socket.write(frame(id, body, false)), 300)
  })
  const sasl = { mechanism: 'plain', username: 'u', password: 'p' } as const
  await expect(connect(address, { sasl }).metadata([])).rejects.toThrow('no answer in 500 ms')
})
