import { expect, test } from 'vitest'
import { Channel, forEachLimit, Semaphore, Signal } from '../../src/base/async.ts'

test('Channel: a full channel makes the writer wait, nothing is lost, order holds', async () => {
  const channel = new Channel<number>(2)
  let pushed = 0
  const writer = (async () => {
    for (let i = 0; i < 10; i++) {
      await channel.push(i)
      pushed++
    }
    channel.close()
  })()
  await Promise.resolve()
  await Promise.resolve()
  expect(pushed).toBeLessThanOrEqual(2)
  const got: number[] = []
  for await (const item of channel) got.push(item)
  await writer
  expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('Channel: an error reaches the reader after what was pushed', async () => {
  const channel = new Channel<number>(2)
  await channel.push(1)
  channel.close(new Error('the source broke'))
  const got: number[] = []
  await expect(
    (async () => {
      for await (const item of channel) got.push(item)
    })(),
  ).rejects.toThrow('the source broke')
  expect(got).toEqual([1])
})

test('Semaphore: waiters are served in order and never more than the permits at once', async () => {
  const gate = new Semaphore(2)
  const order: number[] = []
  let running = 0
  await Promise.all(
    [0, 1, 2, 3, 4].map((i) =>
      gate.with(async () => {
        expect(++running).toBeLessThanOrEqual(2)
        order.push(i)
        await Promise.resolve()
        running--
      }),
    ),
  )
  expect(order).toEqual([0, 1, 2, 3, 4])
})

test('Signal: a ring nobody heard is not lost', async () => {
  const signal = new Signal()
  signal.ring()
  await signal.wait()
  let woken = false
  const waiting = signal.wait().then(() => (woken = true))
  await Promise.resolve()
  expect(woken).toBe(false)
  signal.ring()
  await waiting
  expect(woken).toBe(true)
})

test('forEachLimit: the first error ends it after what runs has ended', async () => {
  const ended: number[] = []
  await expect(
    forEachLimit([1, 2, 3, 4, 5, 6], 2, async (n) => {
      await Promise.resolve()
      if (n === 2) throw new Error('two')
      ended.push(n)
    }),
  ).rejects.toThrow('two')
  expect(ended).toContain(1)
  expect(ended).not.toContain(6)
})
