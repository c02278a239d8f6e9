import { afterEach, describe, expect, test } from 'vitest'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { must } from '../../src/base/assert.ts'
import { unsettled } from '../../src/pipelines/datum-tree.ts'
import { parsePath } from '../../src/model/path.ts'
import type { World } from './world.ts'
import { PROJECT, inlineWorld, newDisk, spec } from './world.ts'

/** Copies its inputs in upper case and counts its runs by file; fails on a file that holds "bad". */
function upper(version = '1', quiet = false): Program & { ran: string[] } {
  const ran: string[] = []
  return {
    version,
    ran,
    run: ({ list, text, write, print }) => {
      for (const path of list('in')) {
        ran.push(path)
        if (!quiet) print(`reading ${path}`)
        if (text(path).includes('bad')) return 3
        write(path.replace('in/', 'out/'), text(path).toUpperCase())
      }
      return 0
    },
  }
}

const named = { input: { pfs: { repo: 'in', glob: '/*' } } }
let world: World
afterEach(async () => {
  await world.close()
  expect(world.troubles).toEqual([])
})

test('one new file among 10,000 datums runs exactly one, and explain says why', async () => {
  const program = upper('1', true)
  const made = await inlineWorld({ upper: program }, { twins: false })
  world = made.world
  await world.repo('in')
  await world.put(spec('out', 'in', ['upper'], named))
  await world.commit('in', files(10_000))
  const first = await world.ended('out')
  expect(first).toMatchObject({ state: 'finished', counts: { total: 10_000, ran: 10_000 } })
  expect(program.ran).toHaveLength(10_000)

  program.ran.length = 0
  const commit = await world.commit('in', { fresh: 'hello' })
  const job = await world.ended('out', commit.id)
  expect(program.ran).toEqual(['in/fresh'])
  expect(job).toMatchObject({
    state: 'finished',
    chunks: 1,
    planned: { run: 1, reuse: 10_000, total: 10_001 },
    counts: { total: 10_001, ran: 1, reused: 10_000, failed: 0 },
  })
  const output = await world.files('out')
  expect(Object.keys(output)).toHaveLength(10_001)
  expect(output).toMatchObject({ fresh: 'HELLO', f00000: 'TEXT 0' })

  const why = async (path: string): Promise<string[]> => {
    const key = { repo: 'out', branch: 'master', id: commit.id }
    const file = await world.pipelines.explainFile(PROJECT, key, parsePath(path))
    expect(file.inputs).toMatchObject([{ path, commit: { repo: 'in', id: commit.id } }])
    expect(file.code?.cmd).toEqual(['upper'])
    const datum = await world.pipelines.explainDatum(
      PROJECT,
      'out',
      commit.id,
      file.datum?.id ?? '',
    )
    expect(datum).toEqual(file.datum)
    return [datum.state, datum.why, datum.job]
  }
  expect(await why('fresh')).toEqual(['success', 'new', job.commit.id])
  expect(await why('f00007')).toEqual(['skipped', 'unchanged', first.commit.id])
}, 120_000)

describe('what runs again', () => {
  test('after a failure only what failed and what is new', async () => {
    const program = upper()
    const made = await inlineWorld({ upper: program })
    world = made.world
    await world.repo('in')
    await world.put(spec('out', 'in', ['upper'], { ...named, datumTries: 2 }))
    const failing = await world.commit('in', { a: 'a', b: 'bad', c: 'c' })
    const failed = await world.ended('out', failing.id)
    expect(failed).toMatchObject({
      state: 'failed',
      counts: { total: 3, ran: 3, failed: 1 },
      cause: { code: 'DATUM_FAILED' },
    })
    expect(failed.cause?.text).toContain('exit code 3')
    expect(program.ran.toSorted()).toEqual(['in/a', 'in/b', 'in/b', 'in/c'])
    const [datum] = await Array.fromAsync(
      world.pipelines.datums(PROJECT, 'out', failing.id, { state: 'failed' }),
    )
    expect(datum).toMatchObject({
      attempts: 2,
      exit: { code: 3, signal: null },
      lastLines: ['reading in/b'],
    })
    await expect(world.files('out')).rejects.toThrow()

    program.ran.length = 0
    const mended = await world.commit('in', { b: 'good', d: 'd' })
    const job = await world.ended('out', mended.id)
    expect(program.ran.toSorted()).toEqual(['in/b', 'in/d'])
    expect(job).toMatchObject({ state: 'finished', counts: { ran: 2, reused: 2 } })
    expect(await world.files('out')).toEqual({ a: 'A', b: 'GOOD', c: 'C', d: 'D' })
    const views = await Array.fromAsync(world.pipelines.datums(PROJECT, 'out', mended.id))
    expect(views.map(({ inputs, state, why }) => [inputs[0]?.path, state, why]).toSorted()).toEqual(
      [
        ['a', 'skipped', 'reused'],
        ['b', 'success', 'input-changed'],
        ['c', 'skipped', 'reused'],
        ['d', 'success', 'new'],
      ],
    )
  })

  test('a datum that may fail is tried again in the next job', async () => {
    let works = false
    const ran: string[] = []
    const flaky: Program = {
      version: '1',
      run: ({ list, write }) => {
        for (const path of list('in')) {
          ran.push(path)
          if (path === 'in/b' && !works) return 1
          write(path.replace('in/', 'out/'), 'ok')
        }
        return 0
      },
    }
    world = (await inlineWorld({ flaky })).world
    await world.repo('in')
    await world.put(spec('out', 'in', ['flaky'], { ...named, datumTries: 1, maxFailedDatums: 1 }))
    const first = await world.commit('in', { a: '1', b: '1' })
    expect(await world.ended('out', first.id)).toMatchObject({
      state: 'finished',
      counts: { failed: 1 },
    })
    expect(await world.files('out')).toEqual({ a: 'ok' })
    works = true
    ran.length = 0
    const second = await world.commit('in', { c: '1' })
    const job = await world.ended('out', second.id)
    expect(job).toMatchObject({ counts: { ran: 2, total: 3 } })
    const { objects } = world.core
    expect(await Array.fromAsync(unsettled(objects, must(job.datumTree, 'tree')))).toEqual([])
    expect(ran.toSorted()).toEqual(['in/b', 'in/c'])
    expect(await world.files('out')).toEqual({ a: 'ok', b: 'ok', c: 'ok' })
  })

  test('everything, when the pipeline asks for it, and says so', async () => {
    const program = upper()
    world = (await inlineWorld({ upper: program })).world
    await world.repo('in')
    await world.put(spec('out', 'in', ['upper'], { ...named, reprocessSpec: 'every_job' }))
    await world.commit('in', { a: 'a' })
    await world.ended('out')
    const next = await world.commit('in', { b: 'b' })
    expect(await world.ended('out', next.id)).toMatchObject({ counts: { ran: 2, total: 2 } })
    const views = await Array.fromAsync(world.pipelines.datums(PROJECT, 'out', next.id))
    expect(views.map((view) => view.why)).toEqual(['every-job', 'new'])
    expect(await world.files('out')).toEqual({ a: 'A', b: 'B' })
  })

  test('other code runs everything again, and the code of before nothing', async () => {
    const program = upper('1')
    const made = await inlineWorld({ upper: program })
    world = made.world
    await world.repo('in')
    const put = (): Promise<void> => world.put(spec('out', 'in', ['upper'], named))
    await put()
    await world.commit('in', { a: 'a', b: 'b' })
    await world.ended('out')
    const root = await world.rootOf('out')

    const other = upper('2')
    made.runner.programs.set('upper', other)
    expect(await world.pipelines.plan(PROJECT, spec('out', 'in', ['upper'], named))).toMatchObject({
      run: 2,
      reuse: 0,
    })
    const second = await world.commit('in', { c: 'c' })
    expect(await world.ended('out', second.id)).toMatchObject({
      counts: { ran: 3, codeChanged: 2, reused: 0 },
    })
    expect(other.ran).toHaveLength(3)

    made.runner.programs.set('upper', program)
    program.ran.length = 0
    const third = await world.commit('in', { c: null })
    expect(await world.ended('out', third.id)).toMatchObject({ counts: { ran: 0, reused: 2 } })
    expect(program.ran).toEqual([])
    expect(await world.rootOf('out')).toBe(root)
  })
})

test('what code cannot be given here is refused when the pipeline is put; what has no effect is said', async () => {
  const made = await inlineWorld({ upper: upper('1') })
  world = made.world
  await world.repo('in')
  const asking = (fields: object): ReturnType<typeof spec> => ({
    ...spec('out', 'in', ['upper'], named),
    ...fields,
  })
  const gpu = { resource_limits: { gpu: { type: 'nvidia.com/gpu', number: 1 } } }
  await expect(world.put(asking(gpu))).rejects.toMatchObject({
    code: 'INVALID_SPEC',
    message: expect.stringContaining('resourceLimits.gpu') as string,
    details: { pointer: '/resource_limits/gpu' },
  })
  const sized = asking({ resource_requests: { cpu: 2, memory: '1Gi' } })
  const { warnings } = await world.pipelines.plan(PROJECT, sized)
  expect(warnings.join('\n')).toContain('"resourceRequests" has no effect')
  await world.put(sized)
})

test('two datums that put one path fail the job, naming both and the path', async () => {
  const same: Program = { version: '1', run: ({ write }) => write('out/same', 'x') }
  world = (await inlineWorld({ same })).world
  await world.repo('in')
  await world.put(spec('out', 'in', ['same'], named))
  const one = await world.commit('in', { a: 'a' })
  expect(await world.ended('out', one.id)).toMatchObject({ state: 'finished' })
  // Against a datum that did not change.
  const two = await world.commit('in', { b: 'b' })
  const job = await world.ended('out', two.id)
  expect(job).toMatchObject({ state: 'failed', cause: { code: 'OUTPUT_CONFLICT' } })
  expect(job.cause?.text).toMatch(/"\/same" is put by datum [0-9a-f]{8} and by [0-9a-f]{8}/)
  // Its owner gone, the path is free, and what ran before counts.
  const three = await world.commit('in', { a: null })
  expect(await world.ended('out', three.id)).toMatchObject({
    state: 'finished',
    counts: { ran: 0 },
  })
})

test('an output may become a folder and a folder a file; between two datums that is a conflict', async () => {
  const place: Program = {
    version: '1',
    run: ({ list, text, write }) => {
      for (const path of list('in')) write(`out/${text(path)}`, path)
    },
  }
  world = (await inlineWorld({ place })).world
  await world.repo('in')
  await world.put(spec('out', 'in', ['place'], named))
  for (const text of ['x', 'x/y', 'x/y/z', 'x']) {
    const commit = await world.commit('in', { a: text })
    expect(await world.ended('out', commit.id)).toMatchObject({ state: 'finished' })
    expect(await world.files('out')).toEqual({ [text]: 'in/a' })
  }
  for (const text of ['x/y', 'x/y/z']) {
    const commit = await world.commit('in', { b: text })
    const job = await world.ended('out', commit.id)
    expect(job).toMatchObject({ state: 'failed', cause: { code: 'OUTPUT_CONFLICT' } })
    expect(job.cause?.text).toMatch(/"\/x" of datum \w{8}/)
    expect(job.cause?.text).toMatch(/"\/x\/y(\/z)?" of datum \w{8}/)
  }
  const both = await world.commit('in', { a: 'y', b: 'y/z' })
  expect(await world.ended('out', both.id)).toMatchObject({ cause: { code: 'OUTPUT_CONFLICT' } })
})

test('errCmd recovers a datum: no output, and it is tried again', async () => {
  const program = upper()
  const mend: Program = { version: '1', run: () => 0 }
  world = (await inlineWorld({ upper: program, mend })).world
  await world.repo('in')
  const transform = { errCmd: ['mend'] }
  await world.put(spec('out', 'in', ['upper'], { ...named, datumTries: 1, transform }))
  const one = await world.commit('in', { a: 'a', b: 'bad' })
  expect(await world.ended('out', one.id)).toMatchObject({
    state: 'finished',
    counts: { recovered: 1, failed: 0 },
  })
  expect(await world.files('out')).toEqual({ a: 'A' })
  program.ran.length = 0
  const two = await world.commit('in', { c: 'c' })
  await world.ended('out', two.id)
  expect(program.ran.toSorted()).toEqual(['in/b', 'in/c'])
})

test('code that is not there fails the job with the reason', async () => {
  world = (await inlineWorld({})).world
  await world.repo('in')
  await world.put(spec('out', 'in', ['nothing'], named))
  const one = await world.commit('in', { a: 'a' })
  const job = await world.ended('out', one.id)
  expect(job).toMatchObject({ state: 'failed', cause: { code: 'CODE_FAILED' } })
  expect(job.cause?.text).toContain('"nothing"')
})

test('a chain of pipelines runs to its end, and lines are kept with their datum', async () => {
  world = (await inlineWorld({ upper: upper() })).world
  await world.repo('in')
  await world.put(spec('mid', 'in', ['upper'], named))
  await world.put(
    spec('out', 'mid', ['upper'], { input: { pfs: { repo: 'mid', name: 'in', glob: '/' } } }),
  )
  const commit = await world.commit('in', { 'd/a': 'a', b: 'b' })
  const job = await world.ended('out', commit.id)
  expect(job).toMatchObject({ state: 'finished', counts: { total: 1 } })
  expect(await world.files('out')).toEqual({ 'd/a': 'A', b: 'B' })
  const lines = await Array.fromAsync(world.pipelines.logs(PROJECT, 'out', { job: commit.id }))
  expect(lines.map((line) => line.text)).toEqual(['reading in/b', 'reading in/d/a'])
  const [datum] = await Array.fromAsync(world.pipelines.datums(PROJECT, 'out', commit.id))
  expect(new Set(lines.map((line) => line.datum))).toEqual(new Set([datum?.id]))
})

test('stopping a job keeps what is done', async () => {
  const ran: string[] = []
  const hang: Program = {
    version: '1',
    run: ({ list, write, signal }) => {
      const [path = ''] = list('in')
      ran.push(path)
      if (path !== 'in/b') return write(path.replace('in/', 'out/'), 'x')
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
    },
  }
  world = (await inlineWorld({ hang })).world
  await world.repo('in')
  await world.put(spec('out', 'in', ['hang'], { ...named, datumSetSpec: { number: 1 } }))
  const commit = await world.commit('in', { a: '1', b: '1', c: '1' })
  const key = { repo: 'out', branch: 'master', id: commit.id }
  await expect.poll(() => world.pipelines.progress(PROJECT, 'out')?.done).toBe(2)
  await world.core.versions.propose(PROJECT, [{ op: 'job.stop', commit: key }], {
    id: world.core.ids(),
    principal: 'user:test',
  })
  const job = await world.ended('out', commit.id)
  expect(job).toMatchObject({ state: 'stopped', counts: { ran: 2 } })
  ran.length = 0
  const next = await world.commit('in', { b: null })
  expect(await world.ended('out', next.id)).toMatchObject({ state: 'finished', counts: { ran: 0 } })
  expect(Object.keys(await world.files('out'))).toEqual(['a', 'c'])
})

test('a job over its time fails with the reason, and what was done is kept', async () => {
  const hang: Program = {
    version: '1',
    run: ({ list }) => (list('in').includes('in/b') ? new Promise<number>(() => {}) : 0),
  }
  world = (await inlineWorld({ hang }, { speed: 20 })).world
  await world.repo('in')
  const more = { ...named, jobTimeout: '1s', datumSetSpec: { number: 1 } }
  await world.put(spec('out', 'in', ['hang'], more))
  const commit = await world.commit('in', { a: '1', b: '1' })
  const job = await world.ended('out', commit.id)
  expect(job).toMatchObject({ state: 'failed', counts: { ran: 1 }, cause: { code: 'CODE_FAILED' } })
  expect(job.cause?.text).toContain('jobTimeout of 1s')
})

test('lines are followed while a job runs, and each comes once', async () => {
  let finish = (): void => {}
  const gate = new Promise<void>((resolve) => (finish = resolve))
  const talk: Program = {
    version: '1',
    run: async ({ print }) => {
      print('before')
      await gate
      print('after')
    },
  }
  world = (await inlineWorld({ talk })).world
  await world.repo('in')
  await world.put(spec('out', 'in', ['talk'], named))
  const commit = await world.commit('in', { a: '1' })
  await expect.poll(() => world.board.project(PROJECT)?.jobs.size).toBe(1)
  const options = { job: commit.id, follow: true }
  const texts: string[] = []
  for await (const line of world.pipelines.logs(PROJECT, 'out', options)) {
    texts.push(line.text)
    finish()
  }
  expect(texts).toEqual(['before', 'after'])
})

test('the chunk of a worker that is no more goes to another, and its late result does not count', async () => {
  const program = upper()
  const made = await inlineWorld({ upper: program }, { speed: 20 })
  world = made.world
  await world.rest()
  await world.repo('in')
  await world.put(spec('out', 'in', ['upper'], named))
  const commit = await world.commit('in', { a: 'a' })
  const claim = await world.desk.claim('dead', 600_000, new AbortController().signal)
  if (!claim) throw new Error('no work')
  expect(await world.desk.beat('dead', 1, [claim])).toEqual([])
  world.work()
  const job = await world.ended('out', commit.id)
  expect(job).toMatchObject({ state: 'finished', counts: { ran: 1 } })
  expect(await world.desk.beat('dead', 2, [claim])).toEqual([claim])
  const output = world.desk.output(claim)
  expect(await world.desk.done(claim, await output.finish([]))).toBe(false)
  expect(await world.files('out')).toEqual({ a: 'A' })
})

test('a job goes on after its server died, and what was done is not run again', async () => {
  const ran: string[] = []
  let dead = false
  const slow: Program = {
    version: '1',
    run: ({ list, write }) => {
      const [path = ''] = list('in')
      ran.push(path)
      write(path.replace('in/', 'out/'), 'x')
      // The first server is stuck in it for ever.
      return path === 'in/b' && !dead ? new Promise<number>(() => {}) : 0
    },
  }
  const disk = newDisk()
  const first = (await inlineWorld({ slow }, { disk, workers: 1 })).world
  await first.repo('in')
  const sets = { ...named, datumSetSpec: { number: 1 } }
  await first.put(spec('out', 'in', ['slow'], sets))
  const commit = await first.commit('in', { a: '1', b: '1', c: '1' })
  await expect.poll(() => ran.length).toBeGreaterThan(1)
  await expect.poll(() => ran.at(-1)).toBe('in/b')
  const before = [...ran]
  first.die()
  dead = true

  world = (await inlineWorld({ slow }, { disk })).world
  expect(await world.ended('out', commit.id)).toMatchObject({
    state: 'finished',
    counts: { ran: 3 },
  })
  expect(await world.files('out')).toEqual({ a: 'x', b: 'x', c: 'x' })
  for (const path of before.slice(0, -1))
    expect(ran.filter((each) => each === path)).toEqual([path])
  await first.close()
})

test('putting what stands changes nothing, until the code or the words change', async () => {
  const made = await inlineWorld({ upper: upper() })
  world = made.world
  await world.repo('in')
  const put = (more = {}): Promise<void> =>
    world.put(spec('out', 'in', ['upper'], { ...named, ...more }))
  const version = async (): Promise<number | undefined> =>
    (await world.core.versions.pipeline(PROJECT, 'out'))?.version
  await put()
  await world.commit('in', { a: 'a' })
  await world.ended('out')
  await put()
  expect(await version()).toBe(1)
  await put({ description: 'shouts' })
  expect(await version()).toBe(2)
  expect(await world.ended('out')).toMatchObject({ counts: { ran: 0, reused: 1 } })
  made.runner.programs.set('upper', upper('2'))
  await put({ description: 'shouts' })
  expect(await version()).toBe(3)
  expect(await world.ended('out')).toMatchObject({ pipelineVersion: 3, counts: { codeChanged: 1 } })
})

function files(count: number): Record<string, string> {
  const entries: [string, string][] = []
  for (let i = 0; i < count; i++) entries.push([`f${String(i).padStart(5, '0')}`, `text ${i}`])
  return Object.fromEntries(entries)
}
