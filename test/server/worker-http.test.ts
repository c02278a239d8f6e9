// Workers that reach the desk over HTTP, on connections that fail in every way they can.
import { afterEach, expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { Random } from '../../src/base/random.ts'
import { seededRandom, systemRandom } from '../../src/base/random.ts'
import { HttpWorkerApi } from '../../src/client/worker-api.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { Agent } from '../../src/worker/agent.ts'
import { PROJECT, spec } from '../pipelines/world.ts'
import type { Pair } from './worker-world.ts'
import { issue, openPipelines, serve } from './worker-world.ts'
import type { World as Server } from './world.ts'

/** Ten times as fast: beats, leases, back-off. */
const fast: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * 10,
  sleep: (ms, signal) => systemClock.sleep(ms / 10, signal),
}
const named = (more = {}) => ({ input: { pfs: { repo: 'in', glob: '/*' } }, ...more })
const { token } = issue('default', 1000)

let pair: Pair
let server: Server
const stop: AbortController[] = []
const running: Promise<void>[] = []
const troubles: unknown[] = []
afterEach(async () => {
  for (const each of stop.splice(0)) each.abort()
  await Promise.all(running.splice(0))
  await server.close()
  await pair.pipelines.close()
  troubles.length = 0
})

function hire(worker: string, fetch?: typeof globalThis.fetch): AbortController {
  const stopping = new AbortController()
  stop.push(stopping)
  const { signal } = stopping
  const guests = { clock: fast, random: systemRandom, stopping: signal }
  const api = new HttpWorkerApi({
    ...guests,
    server: server.url,
    token,
    pool: 'default',
    fetch: fetch ?? ((input, init) => globalThis.fetch(input, init)),
  })
  const { runner, scratch } = pair
  const trouble = (error: unknown): void => void troubles.push(error)
  running.push(new Agent({ api, runner, scratch, clock: fast, worker, trouble }).run(signal))
  return stopping
}

const urlOf = (input: string | URL | Request): string =>
  input instanceof Request ? input.url : input.toString()

/** Loses requests before and answers after the server acts, and cuts answers short. */
function faulty(random: Random, landed: Record<string, number>): typeof fetch {
  const strikes = (fault: string, chance: number): boolean => {
    if (random.next() >= chance) return false
    landed[fault] = (landed[fault] ?? 0) + 1
    return true
  }
  return async (input, init) => {
    if (strikes('not sent', 0.1)) throw new TypeError('fetch failed')
    const response = await fetch(input, init)
    const url = urlOf(input)
    // A claim that nobody heard of waits for its lease to run out.
    if (!url.endsWith('/claim') && strikes('not heard', 0.1)) {
      await response.arrayBuffer()
      throw new TypeError('fetch failed')
    }
    if (!response.body || !/\/(?:read|read-files|files)(?:\?|$)/.test(url)) return response
    if (!strikes('cut', 0.3)) return response
    const bytes = new Uint8Array(await response.arrayBuffer())
    const part = bytes.subarray(0, Math.floor(random.next() * bytes.length))
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(part),
      pull: (controller) => controller.error(new TypeError('terminated')),
    })
    return new Response(body, { status: response.status, headers: response.headers })
  }
}

test('over connections that fail, every datum of small files runs once and every line is kept once', async () => {
  const ran: string[] = []
  const upper: Program = {
    version: '1',
    run: ({ list, text, write, print }) => {
      for (const path of list('in')) {
        ran.push(path)
        print(`reading ${path}`)
        write(path.replace(/^in/, 'out'), text(path).toUpperCase())
      }
      return 0
    },
  }
  pair = await openPipelines({ upper })
  const { pipelines } = pair
  server = await serve(pipelines.desk)
  const landed: Record<string, number> = {}
  for (const worker of ['w1', 'w2']) hire(worker, faulty(seededRandom(worker.length), landed))
  const number = { datumSetSpec: { number: 12 } }
  await pipelines.put(spec('out', 'in', ['upper'], named(number)))
  const files: Record<string, string> = {}
  for (let i = 0; i < 60; i++) files[i % 2 ? `d${i % 30}/f${i}` : `f${i}`] = `text ${i}`
  files['d1/large'] = 'a line of a large file\n'.repeat(100_000)
  await pipelines.commit('in', files)
  const job = await pipelines.ended('out')
  expect(job).toMatchObject({ state: 'finished', counts: { total: 45, ran: 45, failed: 0 } })

  const output = await pipelines.files('out')
  expect(output).toEqual(
    Object.fromEntries(Object.entries(files).map(([path, text]) => [path, text.toUpperCase()])),
  )
  // A large file is uploaded as a stream, once: when that is lost, its datum runs again.
  const isOfLarge = (path: string): boolean => path.startsWith('in/d1/')
  const paths = Object.keys(files).map((path) => `in/${path}`)
  expect(ran.filter((path) => !isOfLarge(path)).toSorted()).toEqual(
    paths.filter((path) => !isOfLarge(path)).toSorted(),
  )
  expect(new Set(ran)).toEqual(new Set(paths))
  const lines = await Array.fromAsync(
    pipelines.pipelines.logs(PROJECT, 'out', { job: job.commit.id }),
  )
  expect(lines.map(({ text }) => text).toSorted()).toEqual(
    ran.map((path) => `reading ${path}`).toSorted(),
  )
  expect(Object.keys(landed).toSorted()).toEqual(['cut', 'not heard', 'not sent'])
}, 60_000)

test.each([
  // Still with the worker, it goes to the server that comes after.
  ['small', 1, ['in/a', 'in/b', 'in/c'], []],
  // Sent already, it is gone: all of the chunk is done again.
  ['large', 100_000, ['in/a', 'in/b', 'in/a', 'in/b', 'in/c'], ['STALE_STATE']],
])(
  'a server that dies in the middle of a chunk of %s files doubles nothing',
  async (_, size, runs, codes) => {
    const ran: string[] = []
    const go = Promise.withResolvers<void>()
    const slow: Program = {
      version: '1',
      run: async ({ list, text, write }) => {
        const [path = ''] = list('in')
        ran.push(path)
        if (ran.length === 2) await go.promise
        write(path.replace(/^in/, 'out'), text(path).toUpperCase().repeat(size))
        return 0
      },
    }
    pair = await openPipelines({ slow })
    const { pipelines } = pair
    server = await serve(pipelines.desk)
    // The address stays, whoever answers at it.
    hire('w', (input, init) => {
      const { pathname, search } = new URL(urlOf(input))
      return fetch(server.url + pathname + search, init)
    })
    await pipelines.put(spec('out', 'in', ['slow'], named({ datumSetSpec: { number: 3 } })))
    await pipelines.commit('in', { a: 'a', b: 'b', c: 'c' })
    await expect.poll(() => ran.length).toBe(2)
    const dead = server
    server = await serve(pipelines.desk)
    await dead.close()
    go.resolve()

    const job = await pipelines.ended('out')
    expect(job).toMatchObject({ state: 'finished', counts: { total: 3, ran: 3, failed: 0 } })
    const [a, b, c] = ['A', 'B', 'C'].map((text) => text.repeat(size))
    expect(await pipelines.files('out')).toEqual({ a, b, c })
    expect(ran).toEqual(runs)
    expect(troubles.map((error) => (error as { code?: string }).code)).toEqual(codes)
  },
  30_000,
)

test('a chunk that was taken away is left in the middle of the code, for whoever has it now', async () => {
  const began = Promise.withResolvers<void>()
  let ended = 0
  let hangs = true
  const code: Program = {
    version: '1',
    run: async ({ write }) => {
      if (hangs) {
        hangs = false
        began.resolve()
        await new Promise(() => {})
      }
      write('out/who', String(++ended))
      return 0
    },
  }
  pair = await openPipelines({ code }, 10)
  const { pipelines } = pair
  server = await serve(pipelines.desk)
  hire('first')
  await pipelines.put(spec('out', 'in', ['code'], named()))
  const commit = await pipelines.commit('in', { a: 'a' })
  await began.promise
  const chunk = { project: PROJECT, pipeline: 'out', job: commit.id, n: 0 }
  const row = await pipelines.rows.get(chunk)
  expect(row?.owner).toMatch(/^first@default\/default\//)
  await pipelines.rows.reopen(chunk, { owner: String(row?.owner), token: Number(row?.token) })
  const job = await pipelines.ended('out')
  expect(job).toMatchObject({ state: 'finished', counts: { total: 1, ran: 1 } })
  expect(await pipelines.files('out')).toEqual({ who: '1' })
  expect((await pipelines.rows.get(chunk))?.token).toBe(2)
}, 30_000)
