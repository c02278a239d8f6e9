import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { ExtraBudget } from '../../src/blob/adapters/s3/budget.ts'
import { Caller } from '../../src/blob/adapters/s3/caller.ts'
import type { Operation } from '../../src/blob/adapters/s3/caller.ts'
import { faultOf } from '../../src/blob/adapters/s3/fault.ts'
import { Lateness } from '../../src/blob/adapters/s3/lateness.ts'
import { DEFAULT_PACE, usesPathStyle } from '../../src/blob/adapters/s3/options.ts'

const READ: Operation = {
  name: 'GetObject',
  doing: 'read "a"',
  action: 's3:GetObject',
  hedge: true,
}
const WRITE: Operation = { name: 'PutObject', doing: 'write "a"', action: 's3:PutObject' }

/** Time passes only while somebody sleeps. */
function sleeper(): Clock {
  let ms = 0
  return {
    nowMs: () => ms,
    monotonicMs: () => ms,
    sleep: (forMs, signal) => {
      if (signal?.aborted !== true) ms += forMs
      return Promise.resolve()
    },
  }
}

function caller(clock = sleeper()): Caller {
  return new Caller(DEFAULT_PACE, clock, seededRandom(1))
}

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const slowDown = (): Error => Object.assign(new Error('x'), { name: 'SlowDown' })

describe('Caller', () => {
  test('hedges cost at most a twentieth on top, however late everything is', async () => {
    const calls = caller()
    let sent = 0
    for (let i = 0; i < 400; i++)
      await calls.call(READ, async () => {
        sent++
        // Later than any patience of a clock that does not wait.
        await soon()
        await soon()
      })
    expect(sent).toBeGreaterThan(410)
    expect(sent).toBeLessThanOrEqual(400 + 5 + 400 / 20)
  })

  test('the first answer wins and the other request is told to stop', async () => {
    const signals: AbortSignal[] = []
    const answer = await caller().call(READ, async (signal) => {
      signals.push(signal)
      if (signals.length === 1) return new Promise<string>(() => undefined)
      await soon()
      return 'second'
    })
    expect(answer).toBe('second')
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
  })

  test('writes are never hedged', async () => {
    let sent = 0
    await caller().call(WRITE, async () => {
      sent++
      await soon()
      await soon()
    })
    expect(sent).toBe(1)
  })

  test('retries of a store that always fails are bounded by their budget, not by the crowd', async () => {
    const calls = caller()
    let sent = 0
    const all = Array.from({ length: 500 }, () =>
      calls.call(WRITE, async () => {
        sent++
        await soon()
        throw slowDown()
      }),
    )
    for (const one of await Promise.allSettled(all)) expect(one.status).toBe('rejected')
    // 500 asked for; 100 saved up, a tenth of 500, and two for each of at most 45 s.
    expect(sent).toBeLessThanOrEqual(500 + 100 + 50 + 90)
  })

  test('"absent" answers a question and fails an order', async () => {
    const absent = (): Promise<never> =>
      Promise.reject(Object.assign(new Error('x'), { name: 'NoSuchKey' }))
    expect(await caller().ask(READ, absent)).toBe('absent')
    await expect(caller().call(WRITE, absent)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})

test('a budget fills by work and by time, up to its capacity', async () => {
  const clock = sleeper()
  const budget = new ExtraBudget(clock, { capacity: 2, share: 0.5, perSecond: 1 })
  const take = (): boolean[] => [budget.take(), budget.take(), budget.take()]
  expect(take()).toEqual([true, true, false])
  budget.asked()
  budget.asked()
  expect(take()).toEqual([true, false, false])
  await clock.sleep(60_000)
  expect(take()).toEqual([true, true, false])
})

test('lateness is the 95th percentile of late, and unknown at first', () => {
  const late = new Lateness()
  for (let i = 0; i < 31; i++) late.add(1)
  expect(late.p95Ms).toBeUndefined()
  for (let i = 0; i < 256; i++) late.add(i % 16 === 0 ? 100 : 5)
  expect(late.p95Ms).toBe(100)
  for (let i = 0; i < 256; i++) late.add(i % 32 === 0 ? 100 : 5)
  expect(late.p95Ms).toBe(5)
})

test('faults: what may pass is tried again, what cannot is not', () => {
  const kind = (name: string, status?: number): string => {
    const $metadata = status === undefined ? {} : { httpStatusCode: status }
    return faultOf(Object.assign(new Error('x'), { name, $metadata })).kind
  }
  expect(kind('NoSuchKey', 404)).toBe('absent')
  expect(kind('NotFound', 404)).toBe('final')
  expect(kind('InvalidRange', 416)).toBe('beyond')
  for (const name of ['RequestTimeout', 'BadDigest', 'IncompleteBody', 'OperationAborted'])
    expect(kind(name, 400), name).toBe('again')
  expect(kind('InternalError', 500)).toBe('again')
  expect(kind('ECONNRESET')).toBe('again')
  expect(kind('SyntaxError', 200)).toBe('again')
  expect(kind('InvalidArgument', 400)).toBe('final')
})

test('path style is for stores other than AWS unless it is said', () => {
  const options = { region: 'r', bucket: 'b' }
  expect(usesPathStyle(options)).toBe(false)
  expect(usesPathStyle({ ...options, endpoint: 'https://s3.eu-west-1.amazonaws.com' })).toBe(false)
  expect(usesPathStyle({ ...options, endpoint: 'http://minio:9000' })).toBe(true)
  expect(usesPathStyle({ ...options, endpoint: 'http://minio:9000', pathStyle: false })).toBe(false)
})
