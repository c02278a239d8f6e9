import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concat, utf8 } from '../../src/base/bytes.ts'
import { isVarveError } from '../../src/base/errors.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { refId, sameTree } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import type { TreeEntry, TreeWriter } from '../../src/objects/objects.ts'
import { comparePaths } from '../../src/objects/trees/walk.ts'
import { bytesOf, collect, commit, contents, makeEngine, noise, p, prose } from './fixture.ts'

// The model: a map from paths to content. What it makes of a script, the engine must make by every
// route: all in one run, cut into commits, cut into runs that are merged at once.

type Edit =
  | {
      readonly do: 'put' | 'append'
      readonly path: string
      readonly seed: number
      readonly size: number
    }
  | { readonly do: 'delete'; readonly path: string }
  | { readonly do: 'copy'; readonly from: string; readonly path: string }

const part = fc.constantFrom('a', 'b', 'c', 'a.', 'ä')
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const size = fc.constantFrom(0, 5, 400, 513, 3000, 50_000, 66_000, 150_000)
const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('put' as const), path, seed: fc.nat(9), size }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('append' as const), path, seed: fc.nat(9), size }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), path }) },
)
const copy = fc.record({ do: fc.constant('copy' as const), from: path, path })
const script = fc.array(edit, { maxLength: 25 })
const later = fc.array(fc.oneof({ weight: 4, arbitrary: edit }, { weight: 1, arbitrary: copy }), {
  maxLength: 25,
})

type Model = Map<string, Uint8Array>

const made = new Map<string, Uint8Array>()
function data(seed: number, sizeBytes: number): Uint8Array {
  const key = `${seed} ${sizeBytes}`
  const bytes = made.get(key) ?? (seed % 2 ? noise : prose)(seed, sizeBytes)
  made.set(key, bytes)
  return bytes
}

/** False: a file would stand where a directory is, or under a file; nothing was done. */
function edited(model: Model, start: Model, step: Edit): boolean {
  const at = (key: string): boolean => key === step.path || key.startsWith(`${step.path}/`)
  const under = [...model.keys()].some((key) => step.path.startsWith(`${key}/`))
  const isDir = [...model.keys()].some((key) => key.startsWith(`${step.path}/`))
  if (step.do === 'delete') {
    for (const key of [...model.keys()].filter(at)) model.delete(key)
    return true
  }
  if (under) return false
  if (step.do === 'copy') {
    const file = start.get(step.from)
    const below = [...start].filter(([key]) => key.startsWith(`${step.from}/`))
    if (file ? isDir : below.length === 0) return false
    for (const key of [...model.keys()].filter(at)) model.delete(key)
    if (file) model.set(step.path, file)
    for (const [key, bytes] of below) model.set(step.path + key.slice(step.from.length), bytes)
    return true
  }
  if (isDir) return false
  const added = data(step.seed, step.size)
  const before = model.get(step.path)
  model.set(step.path, step.do === 'append' && before ? concat([before, added]) : added)
  return true
}

async function write(
  engine: ObjectEngine,
  start: TreeRef | null,
  writer: TreeWriter,
  step: Edit,
): Promise<void> {
  if (step.do === 'delete') await writer.delete(p(step.path))
  else if (step.do === 'put') await writer.put(p(step.path), data(step.seed, step.size))
  else if (step.do === 'append') await writer.append(p(step.path), data(step.seed, step.size))
  else if (step.do === 'copy')
    await writer.copy(p(step.path), (await engine.stat(start, p(step.from))) as TreeEntry)
}

const below =
  (dir: string) =>
  (path: string): boolean =>
    path.startsWith(`${dir}/`)

/** Only edits that make sense, so that every route must succeed, and the model they lead to. */
function sensible(
  edits: readonly Edit[],
  start: Model = new Map(),
): { steps: Edit[]; model: Model } {
  const model = new Map(start)
  let emptied: string[] = []
  const steps = edits.filter((step) => {
    // Who empties a directory piece by piece has not said that a file may take its place.
    const wholeDir = step.do === 'copy' && !start.has(step.from)
    if (step.do !== 'delete' && !wholeDir && emptied.some(below(step.path))) return false
    if (!edited(model, start, step)) return false
    if (step.do === 'delete' || wholeDir)
      emptied = emptied.filter((path) => !below(step.path)(path))
    if (step.do === 'delete') emptied.push(step.path)
    return true
  })
  return { steps, model }
}

function cut<T>(items: readonly T[], at: readonly number[]): T[][] {
  const marks = [0, ...at.map((n) => n % (items.length + 1)), items.length].toSorted(
    (a, b) => a - b,
  )
  return marks.slice(1).map((to, i) => items.slice(marks[i], to))
}

async function runOf(
  engine: ObjectEngine,
  base: TreeRef | null,
  steps: readonly Edit[],
): Promise<TreeRef> {
  const writer = engine.writer(base)
  for (const step of steps) await write(engine, base, writer, step)
  return writer.finish()
}

test('any route to the same content gives the same root, and that content', async () => {
  const { engine, blob } = makeEngine()
  await fc.assert(
    fc.asyncProperty(
      script,
      later,
      fc.array(fc.nat(30), { maxLength: 4 }),
      async (first, second, at) => {
        const { steps: before, model: start } = sensible(first)
        const { steps, model } = sensible(second, start)
        const plain = engine.writer(null)
        for (const [key, bytes] of [...model].toReversed()) await plain.put(p(key), bytes)
        const expected = await plain.finishOnto(null)
        expect(await contents(makeEngine({ blob, seed: 99 }).engine, expected.root)).toEqual(
          new Map([...model].toSorted(([a], [b]) => comparePaths(a, b))),
        )

        const base = (await engine.merge(null, [await runOf(engine, null, before)], null)).root

        // One run, in one go and in two.
        const once = engine.writer(base)
        for (const step of steps) await write(engine, base, once, step)
        const { run, root, stats } = await once.finishOnto(base)
        expect(refId(root)).toBe(refId(expected.root))
        expect(stats).toEqual(expected.stats)
        expect(refId((await engine.merge(base, [run], base)).root)).toBe(refId(root))

        // Runs written side by side and merged at once; appends add up.
        const runs: TreeRef[] = []
        for (const group of cut(steps, at)) runs.push(await runOf(engine, base, group))
        const merged = await engine.merge(base, runs, base)
        expect(refId(merged.root)).toBe(refId(expected.root))
        expect(merged.stats).toEqual(expected.stats)

        // A commit each.
        let tip: TreeRef | null = base
        for (const group of cut(steps, at)) {
          const writer = engine.writer(tip)
          for (const step of group) await write(engine, base, writer, step)
          tip = (await writer.finishOnto(tip)).root
        }
        expect(refId(tip as TreeRef)).toBe(refId(expected.root))
      },
    ),
    { numRuns: 40, seed: 1 },
  )
})

test('a writer that holds little comes to the same root, or to a conflict where one that holds all does', async () => {
  const { engine: roomy, blob } = makeEngine()
  let seed = 1000
  let conflicting = 0
  let merged = 0
  const outcome = async (
    engine: ObjectEngine,
    { since, base }: { readonly since: TreeRef; readonly base: TreeRef },
    steps: readonly Edit[],
  ): Promise<{ root?: string; refused?: number; paths?: string[] }> => {
    const writer = engine.writer(since)
    let at = 0
    try {
      for (; at < steps.length; at++) await write(engine, since, writer, steps[at] as Edit)
      return { root: refId((await writer.finishOnto(base)).root) }
    } catch (error) {
      if (!isVarveError(error, 'PATH_CONFLICT')) throw error
      const paths = [...new Set(error.details?.['paths'] as string[])].toSorted()
      return at < steps.length ? { refused: at, paths } : { paths }
    }
  }
  /** What a step put is gone before the end. */
  const isUndone = (steps: readonly Edit[], at: number): boolean => {
    const path = steps[at]?.path ?? ''
    return steps
      .slice(at + 1)
      .some((step) => step.do === 'delete' && (step.path === path || below(step.path)(path)))
  }
  await fc.assert(
    fc.asyncProperty(
      script,
      later,
      script,
      fc.constantFrom(1, 1_500, 5_000),
      async (first, second, third, writerBytes) => {
        const { steps, model: start } = sensible(first)
        const at = async (onto: TreeRef | null, edits: readonly Edit[]): Promise<TreeRef> =>
          (await roomy.merge(onto, [await runOf(roomy, onto, edits)], onto)).root
        const since = await at(null, steps)
        const base = await at(since, sensible(third, start).steps.slice(0, 3))
        const there = (from: string): boolean =>
          start.has(from) || [...start.keys()].some((key) => key.startsWith(`${from}/`))
        // As they come: sensible or not.
        const edits = second.filter((step) => step.do !== 'copy' || there(step.from))
        const small = makeEngine({ blob, seed: seed++, writerBytes }).engine
        const held = await outcome(roomy, { since, base }, edits)
        const aside = await outcome(small, { since, base }, edits)
        if (held.refused === undefined) expect(aside).toEqual(held)
        else if (!isUndone(edits, held.refused)) expect(aside.root).toBeUndefined()
        if (held.root) merged++
        else conflicting++
      },
    ),
    { numRuns: 300, seed: 3 },
  )
  expect(Math.min(merged, conflicting)).toBeGreaterThan(30)
})

test('diff says exactly what the models differ in, in path order', async () => {
  const { engine } = makeEngine()
  await fc.assert(
    fc.asyncProperty(script, later, async (first, second) => {
      const { steps: before, model: start } = sensible(first)
      const { steps, model } = sensible(second, start)
      const a = (await engine.merge(null, [await runOf(engine, null, before)], null)).root
      const b = (await engine.merge(a, [await runOf(engine, a, steps)], a)).root
      const changes = await collect(engine.diff(a, b))
      const text = (bytes: Uint8Array | undefined): string | undefined =>
        bytes && `${bytes.length}:${bytes.join().slice(0, 50)}`
      const expected = [...new Set([...start.keys(), ...model.keys()])]
        .filter((key) => text(start.get(key)) !== text(model.get(key)))
        .toSorted(comparePaths)
      expect(changes.map((change) => change.path as string)).toEqual(expected)
      for (const change of changes) {
        expect(change.old?.sizeBytes).toBe(start.get(change.path)?.length)
        expect(change.new?.sizeBytes).toBe(model.get(change.path)?.length)
      }
    }),
    { numRuns: 30, seed: 2 },
  )
})

test('equal directories are not read by diff or merge', async () => {
  const { engine, blob } = makeEngine()
  const files: Record<string, string> = {}
  // Large enough not to stand in the directory above.
  for (let i = 0; i < 400; i++) files[`d${i % 20}/s${i % 10}/f${i}`] = `${i}`.padEnd(450)
  // Content comes first in a pack: no directory lies so near its beginning that it is fetched with others.
  const a = await commit(engine, null, { ...files, big: noise(1, 40_000) })
  const b = await commit(engine, a, { 'd3/s3/f3': noise(2, 40_000) })
  const { engine: cold } = makeEngine({ blob, seed: 3 })
  let gets = 0
  const get = blob.get.bind(blob)
  blob.get = (key, range) => {
    gets++
    return get(key, range)
  }
  expect((await collect(cold.diff(a, b))).map((change) => change.path)).toEqual(['d3/s3/f3'])
  // Two roots, and s3 twice.
  expect(gets).toBe(4)
  const { engine: colder } = makeEngine({ blob, seed: 4 })
  gets = 0
  const run = await runOf(colder, null, [{ do: 'delete', path: 'd4/s4' }])
  await colder.merge(b, [run], b)
  // The root, d4 and, just written, the run.
  expect(gets).toBeLessThanOrEqual(4)
})

const conflicts = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    await work
  } catch (error) {
    if (isVarveError(error, 'PATH_CONFLICT')) return error.details?.['paths']
    throw error
  }
  return 'none'
}

test('conflicts: an append to what changed since, a file against a directory, nothing else', async () => {
  const { engine } = makeEngine()
  const since = await commit(engine, null, { log: 'one\n', 'd/f': 'x', gone: 'x' })
  const base = await commit(engine, since, { log: 'two\n', other: 'y', gone: null })
  const staged = async (
    act: (writer: TreeWriter) => Promise<unknown>,
    seen = since,
  ): Promise<TreeRef> => {
    const writer = engine.writer(seen)
    await act(writer)
    return writer.finish()
  }
  const merge = (runs: TreeRef[], seen: TreeRef | null = since) => engine.merge(base, runs, seen)

  const append = await staged((w) => w.append(p('log'), utf8('three\n')))
  expect(await conflicts(merge([append]))).toEqual(['log'])
  expect(await conflicts(merge([await staged((w) => w.append(p('gone'), utf8('+')))]))).toEqual([
    'gone',
  ])
  expect(await conflicts(merge([await staged((w) => w.append(p('new'), utf8('+')))]))).toBe('none')
  const writer = engine.writer(since)
  await writer.append(p('log'), utf8('three\n'))
  expect(await conflicts(writer.finishOnto(base))).toEqual(['log'])
  // Unchanged since, or appended to what an earlier run of the same merge put.
  const { root } = await merge([append], base)
  expect(await bytesOf(engine.read(root, p('log')))).toEqual(utf8('two\nthree\n'))
  const put = await staged((w) => w.put(p('log'), utf8('zero\n')))
  const both = await merge([put, append])
  expect(await bytesOf(engine.read(both.root, p('log')))).toEqual(utf8('zero\nthree\n'))

  // Whole paths are blind.
  expect(await conflicts(merge([put]))).toBe('none')
  expect(await conflicts(merge([await staged((w) => w.delete(p('log')))]))).toBe('none')

  const fileOnDir = await staged((w) => w.put(p('d'), utf8('x')))
  const dirOnFile = await staged((w) => w.put(p('other/f'), utf8('x')))
  expect(await conflicts(merge([fileOnDir, dirOnFile]))).toEqual(['d', 'other'])
  expect(
    await conflicts(
      merge([
        await staged((w) => w.put(p('n'), utf8('x'))),
        await staged((w) => w.put(p('n/m'), utf8('x'))),
      ]),
    ),
  ).toEqual(['n'])
  expect(
    await conflicts(
      staged(async (w) => (await w.put(p('n'), utf8('x')), w.put(p('n/m'), utf8('x')))),
    ),
  ).toEqual(['n/m'])

  // Said in so many words it is none.
  const meant = await staged(async (w) => {
    await w.delete(p('d'))
    await w.put(p('d'), utf8('a file now'))
    await w.delete(p('other'))
    await w.put(p('other/f'), utf8('a directory now'))
  })
  const turned = (await merge([meant])).root
  expect([...(await contents(engine, turned)).keys()]).toEqual(['d', 'log', 'other/f'])
})

test('deleting or copying onto the root replaces everything', async () => {
  const { engine } = makeEngine()
  const a = await commit(engine, null, { x: '1', 'y/z': '2' })
  const b = await commit(engine, null, { k: '3' })
  const writer = engine.writer(b)
  const whole = await engine.stat(a, p(''))
  if (!whole) throw new Error('no root')
  await writer.copy(p(''), whole)
  await writer.put(p('y/w'), utf8('4'))
  const { run, root } = await writer.finishOnto(b)
  expect([...(await contents(engine, root)).keys()]).toEqual(['x', 'y/w', 'y/z'])
  expect(sameTree((await engine.merge(b, [run], b)).root, root)).toBe(true)
  const later = await runOf(engine, b, [{ do: 'put', path: 'l', seed: 1, size: 3 }])
  expect([
    ...(await contents(engine, (await engine.merge(b, [later, run, later], b)).root)).keys(),
  ]).toEqual(['l', 'x', 'y/w', 'y/z'])
  const none = engine.writer(root)
  await none.delete(p(''))
  expect(refId((await none.finishOnto(root)).root)).toBe(refId(await engine.emptyTree()))
})
