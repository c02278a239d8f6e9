import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { DatumResult } from '../../src/model/datum.ts'
import { idSource } from '../../src/model/id.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { FileEntry, Objects, TreeWriter } from '../../src/objects/objects.ts'
import { mergeJob } from '../../src/pipelines/merge.ts'
import type { MergedJob } from '../../src/pipelines/merge.ts'
import { writePlan } from '../../src/pipelines/plan.ts'
import type { PlanMeta } from '../../src/pipelines/plan.ts'
import { ResultWriter } from '../../src/pipelines/results.ts'
import { collect, makeEngine, p } from '../objects/fixture.ts'

const ids = idSource(systemClock, seededRandom(1))
const spec = parsePipelineDocument({
  pipeline: { name: 'l' },
  input: { pfs: { repo: 'in', glob: '/*' } },
  transform: { cmd: ['code'] },
})

function metaOf(base: PlanMeta['base']): PlanMeta {
  const counts = { total: 1, run: 1, reuse: 0, codeChanged: 0, chunks: 1 }
  return {
    format: 1,
    pipelineVersion: 1,
    spec,
    codeKey: 'k',
    inputs: [],
    base,
    ...counts,
    error: null,
  }
}

/** Starts with its number, so that the first 8 digits tell datums apart. */
const datumId = (n: number): string => n.toString(16).padStart(8, '0').padEnd(64, '0')

function resultOf(id: string, files: number): DatumResult {
  const times = { layoutMs: 0, runMs: 0, uploadMs: 0 }
  const ran = { state: 'success', attempts: 1, exit: null, lastLines: [], times } as const
  return { id, key: 'k', why: 'new', inputs: [], ...ran, files }
}

/** Datum → its paths. */
type Outputs = ReadonlyMap<string, readonly string[]>

class Jobs {
  readonly objects: Objects
  base: PlanMeta['base'] = null

  constructor(writerBytes?: number) {
    this.objects = makeEngine(writerBytes === undefined ? {} : { writerBytes }).engine
  }

  async run(outputs: Outputs, removed: readonly string[] = []): Promise<MergedJob> {
    const { objects, base } = this
    const job = ids()
    const meta = metaOf(base)
    const results: TreeRef[] = []
    for (const [id, paths] of outputs) {
      const writer = new ResultWriter(objects, [], [id])
      for (const path of paths)
        await writer.put(
          id,
          path,
          (async function* () {
            yield await Promise.resolve(utf8(`${id} ${path}`))
          })(),
        )
      results.push(await writer.finish([resultOf(id, paths.length)]))
    }
    const plan = await writePlan(objects, { meta, chunks: [], reused: [], removed })
    const merged = await mergeJob(objects, { id: job, plan, meta }, results)
    const { output, ownerTree, datumTree } = merged
    if (output && ownerTree) this.base = { job, root: output.root, datumTree, ownerTree }
    return merged
  }

  async owners(root: TreeRef): Promise<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const entry of await collect(this.objects.walk(root)))
      found[entry.path] = fromUtf8((await collect(this.objects.readEntry(entry)))[0] ?? utf8(''))
    return found
  }
}

const isAbove = (a: string, b: string): boolean => b.startsWith(`${a}/`)

/** Whether one path is put twice, or a file stands where a folder is. */
function clashes(outputs: Outputs): boolean {
  const all = [...outputs.values()].flat()
  return all.some((a, i) => all.some((b, j) => (i !== j && a === b) || isAbove(a, b)))
}

function checkWords(words: string, outputs: Outputs): void {
  const put = (path: string, short: string): boolean =>
    [...outputs].some(([id, paths]) => id.startsWith(short) && paths.includes(path))
  const twice = /^"\/(.*)" is put by datum (\w{8}) and by (\w{8})$/.exec(words)
  if (twice) {
    const [, path = '', one = '', other = ''] = twice
    expect([put(path, one), put(path, other), one === other], words).toEqual([true, true, false])
    return
  }
  const match = /: "\/(.*)" of datum (\w{8}) and "\/(.*)" of datum (\w{8})$/.exec(words)
  const [, file = '', one = '', inside = '', other = ''] = match ?? []
  expect([put(file, one), put(inside, other), isAbove(file, inside)], words).toEqual([
    true,
    true,
    true,
  ])
}

test('any jobs on one another: one owner a path, or a conflict that names two; the root of one full run', async () => {
  const path = fc.constantFrom('a', 'a/b', 'a/b/c', 'a/d', 'b', 'b/c', 'c', 'd/e/f', 'd/e', 'd/g')
  const paths = fc.uniqueArray(path, { maxLength: 3 })
  const clean = paths.filter((some) => !some.some((a) => some.some((b) => isAbove(a, b))))
  const change = fc.array(fc.tuple(fc.nat(5), clean), { minLength: 1, maxLength: 4 })
  let failed = 0
  let good = 0
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      // So little that every name is put aside as a run of its own.
      const jobs = new Jobs(1)
      let stands = new Map<string, readonly string[]>()
      for (const each of changes) {
        const changed = new Map(each.map(([n, some]) => [datumId(n), some]))
        const after = new Map([...stands, ...changed])
        const removed = [...changed.keys()].filter((id) => stands.has(id))
        const { output, ownerTree, conflict } = await jobs.run(changed, removed)
        expect(conflict !== null, String(conflict)).toBe(clashes(after))
        if (conflict !== null) {
          failed++
          checkWords(conflict, after)
          expect([output, ownerTree]).toEqual([null, null])
          continue
        }
        good++
        stands = after
        const owners = Object.fromEntries(
          [...after].flatMap(([id, some]) => some.map((one) => [one, id])),
        )
        expect(await jobs.owners(ownerTree as TreeRef)).toEqual(owners)
        const whole = new Jobs()
        expect((await whole.run(after)).output?.stats).toEqual(output?.stats)
        const here = await jobs.objects.stat(output?.root ?? null, p('/'))
        const there = await whole.objects.stat(whole.base?.root ?? null, p('/'))
        expect(here?.digest).toBe(there?.digest)
      }
    }),
    { numRuns: 60 },
  )
  expect(Math.min(failed, good)).toBeGreaterThan(10)
})

test('what is held does not grow with the number of paths', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const held = (): number => {
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  let grownBytes = 0
  /** One datum that put so many files, and writers that forget what they are given. */
  const manyPaths = (count: number): Objects => {
    const entry = (path: string, text: string): FileEntry => {
      const sizeBytes = text.length
      const content = { inline: text }
      return { kind: 'file', path: p(path), sizeBytes, digest: datumId(1), content }
    }
    const writer = (): TreeWriter => {
      let files = 0
      const put = (): Promise<void> => Promise.resolve(void files++)
      return {
        put,
        copy: put,
        delete: put,
        finishOnto: () => {
          const stats = { files, bytes: 0 }
          return Promise.resolve({ run: 'r' as TreeRef, root: 't' as TreeRef, stats })
        },
      } as unknown as TreeWriter
    }
    const result = `${JSON.stringify(resultOf(datumId(1), count))}\n`
    return {
      writer,
      stats: () => Promise.resolve({ files: 0, bytes: 0 }),
      stat: (root: TreeRef, path: string) =>
        Promise.resolve(root === 'result' ? entry(path, result) : undefined),
      async *readEntry({ content }: FileEntry) {
        yield await Promise.resolve(utf8('inline' in content ? content.inline : ''))
      },
      async *walk(_root: TreeRef, folder: string) {
        const before = held()
        for (let n = 0; n < count; n++)
          yield await Promise.resolve(entry(`${folder}/${'long'.repeat(20)}/${n}`, ''))
        grownBytes = held() - before
      },
    } as unknown as Objects
  }
  const grown = async (count: number): Promise<number> => {
    const job = { id: ids(), plan: 'plan' as TreeRef, meta: metaOf(null) }
    const merged = await mergeJob(manyPaths(count), job, ['result' as TreeRef])
    expect(merged.output?.stats.files).toBe(count)
    return grownBytes
  }
  await grown(1_000)
  // Their names alone are ten million bytes.
  expect(await grown(100_000)).toBeLessThan(2_000_000)
})
