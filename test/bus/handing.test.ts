import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { Handing } from '../../src/bus/adapters/kafka/handing.ts'
import type { Piece } from '../../src/bus/adapters/kafka/handing.ts'
import type { BusMessage } from '../../src/bus/bus.ts'

const piece = (to: number, ...texts: string[]): Piece => ({
  to,
  bytes: 10,
  messages: texts.map((key) => ({ partition: 0, key, headers: {}, value: new Uint8Array() })),
})

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

/** A handler whose calls end when the test says so. */
function held(): {
  calls: string[][]
  end: (error?: Error) => Promise<void>
  handler: (messages: readonly BusMessage[]) => Promise<void>
} {
  const calls: string[][] = []
  const open: PromiseWithResolvers<void>[] = []
  return {
    calls,
    end: async (error) => {
      const one = open.shift()
      if (error) one?.reject(error)
      else one?.resolve()
      await turns()
    },
    handler: (messages) => {
      calls.push(messages.map(({ key }) => key))
      const one = Promise.withResolvers<void>()
      open.push(one)
      return one.promise
    },
  }
}

test('the position moves only behind what was handled, also over pieces without messages', async () => {
  const { calls, end, handler } = held()
  const handing = new Handing(handler, systemClock)
  handing.begin(3, 10)
  handing.push(3, piece(12, 'a', 'b'))
  await turns()
  handing.push(3, piece(15))
  handing.push(3, piece(16, 'c'))
  await turns()
  expect(calls).toEqual([['a', 'b']])
  expect(handing.positions().get(3)).toBe(10)
  expect(handing.next(3)).toBe(16)
  await end()
  expect(handing.positions().get(3)).toBe(12)
  expect(calls).toEqual([['a', 'b'], ['c']])
  await end()
  expect(handing.positions().get(3)).toBe(16)
  expect(handing.bytes).toBe(0)
})

test('paused: no call begins, the one under way still counts, and it goes on where it was', async () => {
  const { calls, end, handler } = held()
  const handing = new Handing(handler, systemClock)
  handing.begin(0, 0)
  handing.push(0, piece(1, 'a'))
  await turns()
  handing.push(0, piece(2, 'b'))
  handing.pause()
  await end()
  expect(handing.positions().get(0)).toBe(1)
  expect(calls).toEqual([['a']])
  handing.resume()
  await turns()
  expect(calls).toEqual([['a'], ['b']])
})

test('a partition taken away and given again: one call at a time, and the old one does not count', async () => {
  const { calls, end, handler } = held()
  const handing = new Handing(handler, systemClock)
  handing.begin(0, 0)
  handing.push(0, piece(5, 'old'))
  await turns()
  handing.end(0)
  handing.begin(0, 3)
  handing.push(0, piece(5, 'again'))
  await turns()
  expect(calls).toEqual([['old']])
  await end()
  expect(handing.positions().get(0)).toBe(3)
  expect(calls).toEqual([['old'], ['again']])
  await end()
  expect(handing.positions().get(0)).toBe(5)
})

test('a session that does not hold begins no call until it is resumed', async () => {
  let holds = false
  const { calls, handler } = held()
  const handing = new Handing(handler, systemClock, () => holds)
  handing.begin(0, 0)
  handing.push(0, piece(1, 'a'))
  await turns()
  expect(calls).toEqual([])
  holds = true
  handing.resume()
  await turns()
  expect(calls).toEqual([['a']])
})

test('a call that threw is made again; what is handed over is what came first', async () => {
  const { calls, end, handler } = held()
  const handing = new Handing(handler, systemClock)
  handing.begin(0, 0)
  handing.push(0, piece(1, 'a'))
  await turns()
  await end(new Error('not now'))
  expect(handing.positions().get(0)).toBe(0)
  while (calls.length < 2) await systemClock.sleep(5)
  expect(calls).toEqual([['a'], ['a']])
  await end()
  expect(handing.positions().get(0)).toBe(1)
})

test('a call that was refused waits for resume, and is made then', async () => {
  const { calls, end, handler } = held()
  let holds = false
  const handing = new Handing(handler, systemClock, () => holds)
  handing.begin(3, 10)
  handing.push(3, piece(11, 'a'))
  await turns()
  expect(calls).toEqual([])
  handing.push(3, piece(12, 'b'))
  await turns()
  expect(calls).toEqual([])
  holds = true
  handing.resume()
  await turns()
  await end()
  expect(calls.flat()).toEqual(['a', 'b'])
  expect(handing.positions().get(3)).toBe(12)
})
