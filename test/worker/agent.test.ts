import { expect, test } from 'vitest'
import type { Claim, OutputWriter, WorkerApi, WorkerLine } from '../../src/api/worker.ts'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { InlineRunner } from '../../src/exec/adapters/inline/runner.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import type { Runner } from '../../src/exec/runner.ts'
import { MemoryScratch } from '../../src/exec/adapters/inline/scratch.ts'
import type { DatumPiece, DatumResult } from '../../src/model/datum.ts'
import { idSource } from '../../src/model/id.ts'
import { seededRandom } from '../../src/base/random.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { Agent } from '../../src/worker/agent.ts'

const ids = idSource(systemClock, seededRandom(1))
/** Beats come at once. */
const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) }

function piece(path: string, digest: string): DatumPiece {
  return { name: 'in', path, kind: 'file', digest, sizeBytes: 1 }
}

/** A server with one chunk to give; files of its input hold their own path. */
class OneChunk implements WorkerApi {
  readonly claimed: Claim
  readonly reads: string[] = []
  readonly lost = new Set<Claim>()
  readonly heard: WorkerLine[] = []
  results: readonly DatumResult[] | undefined
  isDone = false
  givenBack = false
  beats = 0
  #given = false

  constructor(pieces: readonly DatumPiece[], more: Record<string, unknown> = {}) {
    const job = ids()
    this.claimed = {
      project: 'p',
      pipeline: 'l',
      job,
      n: 0,
      worker: 'w',
      token: 1,
      outputBranch: 'master',
      spec: parsePipelineDocument({
        pipeline: { name: 'l' },
        input: { pfs: { repo: 'in', glob: '/*' } },
        transform: { cmd: ['code'] },
        ...more,
      }),
      inputs: [
        {
          name: 'in',
          project: 'p',
          repo: 'in',
          branch: 'master',
          commit: job,
          root: 'r' as TreeRef,
          glob: '/*',
          emptyFiles: false,
        },
      ],
      datums: pieces.map((each, i) => ({ id: `d${i}`, key: 'k', why: 'new', inputs: [each] })),
    }
  }

  async claim(_worker: string, _waitMs: number, signal: AbortSignal): Promise<Claim | undefined> {
    if (this.#given) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    if (signal.aborted) return undefined
    this.#given = true
    return this.claimed
  }

  beat(_worker: string, beat: number, keeps: readonly Claim[]): Promise<readonly Claim[]> {
    expect(beat).toBe(++this.beats)
    return Promise.resolve(keeps.filter((keep) => this.lost.has(keep)))
  }

  async *files(): AsyncIterable<never> {}

  async *read(_claim: Claim, _input: string, path: string): AsyncIterable<Uint8Array> {
    this.reads.push(path)
    yield utf8(path)
  }

  output(): OutputWriter {
    const nothing = (): Promise<void> => Promise.resolve()
    return {
      put: nothing,
      copy: nothing,
      drop: nothing,
      abandon: () => {},
      finish: (results) => {
        this.results = results
        return Promise.resolve('t' as TreeRef)
      },
    }
  }

  lines(_claim: Claim, lines: readonly WorkerLine[]): Promise<void> {
    this.heard.push(...lines)
    return Promise.resolve()
  }

  progress(): void {}

  done(): Promise<boolean> {
    this.isDone = true
    return Promise.resolve(true)
  }

  giveBack(): Promise<void> {
    this.givenBack = true
    return Promise.resolve()
  }
}

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
