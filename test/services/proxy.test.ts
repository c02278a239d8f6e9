import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TcpProxy } from './proxy.ts'

// An echo that remembers what reached it.
let server: Server
let proxy: TcpProxy
let heard = ''
const sockets: Socket[] = []

beforeEach(async () => {
  heard = ''
  server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      heard += chunk.toString()
      socket.write(chunk)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await TcpProxy.start(`127.0.0.1:${(server.address() as AddressInfo).port}`)
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await proxy.stop()
  server.close()
})

async function dial(): Promise<Socket> {
  const [host = '', port = ''] = proxy.address.split(':')
  const socket = connect(Number(port), host)
  sockets.push(socket)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** What comes until `length` bytes are there; the code of the error that ends it before. */
function reply(socket: Socket, length: number): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
      if (text.length >= length) resolve(text)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    socket.on('close', () => resolve(`closed after "${text}"`))
  })
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

test('without faults it is a wire, in both directions and at any size', async () => {
  const socket = await dial()
  const big = 'x'.repeat(3_000_000)
  socket.write(big)
  expect(await reply(socket, big.length)).toBe(big)
  expect(proxy.counts).toMatchObject({ connections: 1, swallowedBytes: 0, delayed: 0, resets: 0 })
})

test('a dropped reply: the request arrives, its answer never; the next connection is whole', async () => {
  proxy.dropReplies({ connections: 1 })
  const deaf = await dial()
  deaf.write('one')
  await until(() => proxy.counts.swallowedBytes === 3)
  const socket = await dial()
  socket.write('two')
  expect(await reply(socket, 3)).toBe('two')
  // What follows on the deaf one would be a stream with a gap: it stays deaf.
  const later = reply(deaf, 1)
  deaf.write('three')
  await until(() => proxy.counts.swallowedBytes === 8)
  expect(heard).toBe('onetwothree')
  await proxy.heal()
  expect(await later).toMatch(/ECONNRESET|closed after ""/)
  expect(proxy.counts.droppedReplies).toBe(1)
})

test('latency keeps the order, a stall loses nothing', async () => {
  const socket = await dial()
  proxy.toServer.latencyMs = 20
  proxy.toServer.jitterMs = 20
  for (const letter of 'abcdef') {
    socket.write(letter)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  expect(await reply(socket, 6)).toBe('abcdef')
  expect(proxy.counts.delayed).toBeGreaterThan(0)
  await proxy.heal()
  proxy.toClient.hold = true
  socket.write('gh')
  await until(() => heard === 'abcdefgh')
  proxy.toClient.hold = false
  expect(await reply(socket, 2)).toBe('gh')
})

test('slices and a narrow line change when bytes arrive, not which', async () => {
  proxy.toServer.sliceBytes = 1
  proxy.toClient.bytesPerSecond = 100_000
  const socket = await dial()
  socket.write('0123456789'.repeat(10))
  expect(await reply(socket, 100)).toBe('0123456789'.repeat(10))
  expect(proxy.counts.delayed).toBeGreaterThan(0)
})

test('a reset after so many bytes lets exactly those through', async () => {
  proxy.toServer.resetAfterBytes = 1000
  const socket = await dial()
  const answer = reply(socket, 100_000)
  socket.write('y'.repeat(100_000))
  expect(await answer).toMatch(/ECONNRESET|EPIPE/)
  expect(heard.length).toBe(1000)
  expect(proxy.counts.resets).toBe(1)
})

test('resets, refusals and black holes begin and end at run time', async () => {
  const there = await dial()
  const end = reply(there, 1)
  proxy.reset({ alsoNew: true })
  expect(await end).toMatch(/ECONNRESET|closed/)
  const next = await dial().then((socket) => reply(socket, 1), String)
  expect(next).toMatch(/ECONNRESET|closed/)
  await proxy.refuse()
  await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await proxy.heal()
  proxy.toServer.hole = true
  const lost = await dial()
  lost.write('into the hole')
  await until(() => proxy.counts.swallowedBytes === 13)
  expect(heard).toBe('')
  await proxy.heal()
  const socket = await dial()
  socket.write('back')
  expect(await reply(socket, 4)).toBe('back')
})
