import { expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { InlineRunner } from '../../src/exec/adapters/inline/runner.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import type { Runner } from '../../src/exec/runner.ts'
import { MemoryScratch } from '../../src/exec/adapters/inline/scratch.ts'
import { Agent } from '../../src/worker/agent.ts'
import { OneChunk, piece } from './one-chunk.ts'

/** Beats come at once. */
const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) }

async function work(
  api: OneChunk,
  code: Program | TakeRun,
  until: () => boolean,
): Promise<{ scratch: MemoryScratch; troubles: unknown[] }> {
  const scratch = new MemoryScratch()
  const inline = 'version' in code ? code : hang
  const runner = new InlineRunner({ scratch, programs: { code: inline } })
  if (typeof code === 'function') runner.run = code
  const stop = new AbortController()
  const troubles: unknown[] = []
  const trouble = (error: unknown): void => void troubles.push(error)
  const agent = new Agent({ api, runner, scratch, clock, worker: 'w', trouble })
  const running = agent.run(stop.signal)
  await expect.poll(until).toBe(true)
  stop.abort()
  await running
  expect(scratch.size).toBe(0)
  return { scratch, troubles }
}

type TakeRun = Runner['run']
const hang: Program = { version: '1', run: () => new Promise<number>(() => {}) }

test('what lies there unchanged is not laid out again; a second try trusts nothing', async () => {
  let tries = 0
  const api = new OneChunk([piece('a', '1'), piece('a', '1'), piece('a', '2'), piece('b', '2')])
  const seen: string[][] = []
  const code: Program = {
    version: '1',
    run: ({ list, request }) => {
      seen.push(list('in'))
      expect(list('out')).toEqual([])
      return request.env['PACH_DATUM_ID'] === 'd3' && ++tries < 3 ? 9 : 0
    },
  }
  await work(api, code, () => api.isDone)
  expect(api.reads).toEqual(['a', 'a', 'b', 'b', 'b'])
  expect(seen.map(([path]) => path)).toEqual(['in/a', 'in/a', 'in/a', 'in/b', 'in/b', 'in/b'])
  expect(api.results?.map(({ state, attempts }) => [state, attempts])).toEqual([
    ['success', 1],
    ['success', 1],
    ['success', 1],
    ['success', 3],
  ])
})

test('every line comes with its datum and attempt before the chunk is done', async () => {
  const api = new OneChunk([piece('a', '1')], { datumTries: 2 })
  const code: Program = {
    version: '1',
    run: ({ print }) => {
      for (let i = 0; i < 1200; i++) print(String(i))
      return 1
    },
  }
  await work(api, code, () => api.isDone)
  expect(api.heard).toHaveLength(2400)
  expect(api.heard[1200]).toMatchObject({ datum: 'd0', attempt: 2, text: '0', stream: 'stdout' })
  expect(api.results?.[0]).toMatchObject({ state: 'failed', exit: { code: 1 } })
  expect(api.results?.[0]?.lastLines.at(-1)).toBe('1199')
})

test('code that writes faster than its lines are taken is held back, and none is lost', async () => {
  const api = new OneChunk([piece('a', '1')])
  const taken = Promise.withResolvers<void>()
  const { lines } = OneChunk.prototype
  api.lines = async (claim, some) => {
    await taken.promise
    await lines.call(api, claim, some)
  }
  let written = 0
  const flood: TakeRun = async (_request, line) => {
    for (; written < 10_000; written++) await line({ stream: 'stdout', text: String(written) })
    return { code: 0, signal: null, timedOut: false }
  }
  const working = work(api, flood, () => api.isDone)
  await expect.poll(() => api.beats).toBeGreaterThan(2)
  expect(written).toBeLessThan(2_000)
  taken.resolve()
  await working
  expect(api.heard.map(({ text }) => Number(text))).toEqual(
    Array.from({ length: 10_000 }, (_, i) => i),
  )
})

test('a claim that is lost is left at once: neither done nor given back', async () => {
  const api = new OneChunk([piece('a', '1')])
  api.lost.add(api.claimed)
  await work(api, hang, () => api.beats > 0)
  expect([api.isDone, api.givenBack]).toEqual([false, false])
})

test('a worker that stops gives its chunk back', async () => {
  const api = new OneChunk([piece('a', '1')])
  await work(api, hang, () => api.beats > 1)
  expect([api.isDone, api.givenBack]).toEqual([false, true])
})

test('a timed-out datum can be recovered', async () => {
  const api = new OneChunk([piece('a', '1')], {
    datumTries: 1,
    datumTimeout: '50ms',
    transform: { cmd: ['code'], errCmd: ['code', 'again'] },
  })
  const code: Program = {
    version: '1',
    run: ({ request }) => (request.cmd[1] === 'again' ? 0 : new Promise<number>(() => {})),
  }
  await work(api, code, () => api.isDone)
  expect(api.results?.[0]).toMatchObject({ state: 'recovered', files: 0 })
})

test('a server that fails is no failure of the code', async () => {
  const api = new OneChunk([piece('a', '1')])
  api.read = () => {
    throw new Error('server away')
  }
  const { troubles } = await work(api, hang, () => api.givenBack)
  expect(troubles).toMatchObject([{ message: 'server away' }])
  expect(api.isDone).toBe(false)
})
