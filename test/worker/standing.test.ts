// Code that does not end by itself, in time that passes when nothing else is left to do.

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { VarveError } from '../../src/base/errors.ts'
import { InlineRunner } from '../../src/exec/adapters/inline/runner.ts'
import { MemoryScratch } from '../../src/exec/adapters/inline/scratch.ts'
import { DiskScratch } from '../../src/exec/adapters/process/scratch.ts'
import type { Exit, RunRequest, Runner } from '../../src/exec/runner.ts'
import type { PlannedDatum } from '../../src/model/datum.ts'
import { ROOT } from '../../src/model/path.ts'
import { Agent } from '../../src/worker/agent.ts'
import { Layout } from '../../src/worker/layout.ts'
import { restartMs } from '../../src/worker/standing.ts'
import { VirtualClock } from '../log/toy.ts'
import { OneChunk, piece } from './one-chunk.ts'

const SERVICE = {
  service: { internalPort: 8080 },
  input: { pfs: { repo: 'in', glob: '/' } },
}
const exit = (code: number | null, signal: string | null = null): Exit => ({
  code,
  signal,
  timedOut: false,
})
const KILLED = exit(null, 'SIGKILL')

const PATIENT = { timeout: 30_000 }

/** Until it is killed. */
const untilKilled = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

interface Standing {
  readonly api: OneChunk
  readonly clock: VirtualClock
  readonly scratch: MemoryScratch
  readonly troubles: unknown[]
  /** What happened, in order. */
  readonly events: string[]
  readonly stop: AbortController
  readonly ended: Promise<void>
}

function stand(
  run: (world: Standing, ...given: Parameters<Runner['run']>) => Promise<Exit>,
  api = new OneChunk([piece('a', '1')], SERVICE),
): Standing {
  const clock = new VirtualClock()
  const scratch = new MemoryScratch()
  const runner = new InlineRunner({ scratch, programs: {} })
  const stop = new AbortController()
  const troubles: unknown[] = []
  const events: string[] = []
  const { claim, giveBack } = OneChunk.prototype
  api.claim = (...given) => {
    events.push('claim')
    return claim.apply(api, given)
  }
  api.giveBack = () => {
    events.push('give back')
    return giveBack.call(api)
  }
  const trouble = (error: unknown): void => void troubles.push(error)
  const guests = { api, runner, scratch, clock, worker: 'w', trouble, server: 'http://varve' }
  const world = { api, clock, scratch, troubles, events, stop }
  runner.run = async (...given) => {
    events.push('start')
    try {
      return await run(whole, ...given)
    } finally {
      events.push('dead')
    }
  }
  const whole: Standing = { ...world, ended: new Agent(guests).run(stop.signal) }
  return whole
}

const varveLines = (api: OneChunk): string[] =>
  api.heard.filter(({ stream }) => stream === 'varve').map(({ text }) => text)

test('code that ends is started again, ever later up to a minute; after a long run soon again', async () => {
  /** How long each run takes. */
  const takesMs = [0, 5, 0, 0, 59_999, 0, 0, 0, 60_000, 0, 59_999, 900_000]
  const startsMs: number[] = []
  const endsMs: number[] = []
  const world = stand(async ({ scratch, clock, stop }, request, _line, signal) => {
    const folder = scratch.at(request.pfs)
    expect([...folder.nodes.keys()]).toEqual(['in/a'])
    await folder.write('out/left', new Uint8Array(1))
    const n = startsMs.push(clock.monotonicMs()) - 1
    if (n === takesMs.length) {
      stop.abort()
      return KILLED
    }
    await clock.sleep(takesMs[n] as number, signal)
    endsMs.push(clock.monotonicMs())
    if (n === 1) throw new VarveError('CODE_FAILED', 'cannot start "code": no such file')
    return n === 2 ? exit(null, 'SIGTERM') : exit(n === 0 ? 0 : 3)
  })
  await world.ended
  const { api, troubles } = world
  const waitsMs = endsMs.map((ms, i) => (startsMs[i + 1] as number) - ms)
  expect(waitsMs.map((ms) => ms / 1_000)).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 1, 2, 4, 1])
  expect(api.told).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 0, 1])
  expect(varveLines(api).slice(0, 5)).toEqual([
    'the code ended with exit code 0; it is started again in 1 s',
    'cannot start "code": no such file',
    'the code could not be started; it is started again in 2 s',
    'the code was ended by SIGTERM; it is started again in 4 s',
    'the code ended with exit code 3; it is started again in 8 s',
  ])
  expect(api.heard.at(-1)?.attempt).toBe(takesMs.length)
  // Laid out once; kept by beats all the time; nothing of /pfs/out was taken.
  expect(api.reads).toEqual(['a'])
  const passedMs = (startsMs.at(-1) as number) - (startsMs[0] as number)
  expect(api.beats).toBeGreaterThanOrEqual(Math.floor(passedMs / 5_000) - 1)
  expect([api.results, api.isDone, api.givenBack]).toEqual([undefined, false, true])
  expect(troubles).toEqual([])
  expect(restartMs(10_000)).toBe(60_000)
})

test('a worker that stops kills the code, and gives the chunk back when it is dead', async () => {
  const world = stand(async ({ stop, clock }, _request, _line, signal) => {
    void clock.sleep(1_000_000).then(() => stop.abort())
    await untilKilled(signal)
    await clock.sleep(3_000)
    return KILLED
  })
  await world.ended
  expect(world.events).toEqual(['claim', 'start', 'dead', 'give back'])
  expect(varveLines(world.api)).toEqual([])
  expect([world.api.results, world.api.isDone]).toEqual([undefined, false])
})

test('a worker that stops while the code waits to be started again does not wait', async () => {
  let endedMs = 0
  const world = stand(async ({ stop, clock }) => {
    endedMs = clock.monotonicMs()
    void clock.sleep(400).then(() => stop.abort())
    return exit(1)
  })
  await world.ended
  expect(world.clock.monotonicMs() - endedMs).toBeLessThan(1_000)
  expect(world.events).toEqual(['claim', 'start', 'dead', 'give back'])
})

test('when the chunk is lost the code is dead before the worker asks for another', async () => {
  let lostMs = 0
  const world = stand(async ({ api, clock }, _request, _line, signal) => {
    await clock.sleep(23_000)
    lostMs = clock.monotonicMs()
    api.lost.add(api.claimed)
    await untilKilled(signal)
    // The next beat.
    expect(clock.monotonicMs() - lostMs).toBeLessThanOrEqual(5_000)
    await clock.sleep(7_000)
    return KILLED
  })
  await expect.poll(() => world.events.length, PATIENT).toBe(4)
  world.stop.abort()
  await world.ended
  expect(world.events).toEqual(['claim', 'start', 'dead', 'claim'])
  expect(world.api.givenBack).toBe(false)
})

test('a flood of lines is held back; lines nobody takes give the chunk to somebody else', async () => {
  const api = new OneChunk([piece('a', '1')], SERVICE)
  api.lines = async () => {
    await expect.poll(() => api.beats, PATIENT).toBeGreaterThan(3)
    throw new Error('no room for lines')
  }
  let written = 0
  const world = stand(async (_world, _request, line, signal) => {
    const flood = async (): Promise<void> => {
      for (;;) {
        written++
        await line({ stream: 'stdout', text: 'line' })
      }
    }
    await Promise.race([flood().catch(() => untilKilled(signal)), untilKilled(signal)])
    return KILLED
  }, api)
  await expect.poll(() => api.givenBack, PATIENT).toBe(true)
  world.stop.abort()
  await world.ended
  expect(written).toBeLessThan(2_000)
  expect(world.events.slice(0, 4)).toEqual(['claim', 'start', 'dead', 'give back'])
  expect(world.troubles).toMatchObject([{ message: 'no room for lines' }])
})

test('code that writes over the API is told where and with what, and its log does not tell', async () => {
  const api = new OneChunk([piece('a', '1')], SERVICE)
  const writes = { token: 'vs1.a.b', repo: 'feed', branch: 'news' }
  api.claimed = { ...api.claimed, writes }
  let seen: RunRequest['env'] = {}
  const world = stand(async ({ stop }, { env }, line) => {
    seen = env
    await line({ stream: 'stderr', text: `+ curl -H "Bearer ${env['VARVE_TOKEN']}"` })
    stop.abort()
    return KILLED
  }, api)
  await world.ended
  expect(seen).toMatchObject({
    VARVE_SERVER: 'http://varve',
    VARVE_TOKEN: 'vs1.a.b',
    VARVE_PROJECT_NAME: 'p',
    VARVE_REPO: 'feed',
    VARVE_BRANCH: 'news',
  })
  expect(api.heard.map(({ text }) => text)).toEqual(['+ curl -H "Bearer [VARVE_TOKEN]"'])
})

test('code that has nowhere to write gets no token', async () => {
  let seen: string[] = []
  const world = stand(async ({ stop }, { env }) => {
    seen = Object.keys(env)
    stop.abort()
    return KILLED
  })
  await world.ended
  expect(seen).toContain('VARVE_PROJECT_NAME')
  for (const name of ['VARVE_SERVER', 'VARVE_TOKEN', 'VARVE_REPO', 'VARVE_BRANCH'])
    expect(seen).not.toContain(name)
})

test('an input that holds nothing is a folder all the same', async () => {
  const root = await mkdtemp(join(tmpdir(), 'varve-layout-'))
  onTestFinished(() => rm(root, { recursive: true }))
  const folder = await new DiskScratch({ root }).folder()
  const api = new OneChunk([{ name: 'in', path: ROOT, kind: 'dir', digest: '1', sizeBytes: 0 }])
  const [datum] = api.claimed.datums
  await new Layout({ api, folder, readOnly: true }).lay(api.claimed, datum as PlannedDatum, false)
  expect(await readdir(join(folder.path, 'in'))).toEqual([])
})
