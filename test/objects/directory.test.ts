// Directories larger than a node: what small ones can do, at a cost of the change and not of the size.

import { expect, test } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import type { BlobObject } from '../../src/blob/blob.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { refId } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import { collect, commit, contents, makeEngine, p } from './fixture.ts'

const name = (n: number): string => `dir/f${String(n).padStart(6, '0')}`

/** Files of the numbers, each with its number as content. */
const files = (numbers: Iterable<number>): Record<string, string> =>
  Object.fromEntries([...numbers].map((n) => [name(n), `content ${n}`]))

async function large(engine: ObjectEngine, count: number): Promise<TreeRef> {
  return commit(engine, null, files(Array(count).keys()))
}

test('by whatever commits and runs it grew, the root is the same', async () => {
  const { engine } = makeEngine()
  const atOnce = await large(engine, 6_000)
  const random = seededRandom(4)
  const order = [...Array(6_000).keys()].toSorted(() => random.next() - 0.5)
  let grown: TreeRef | null = null
  for (let from = 0; from < 6_000; from += 1_500)
    grown = await commit(engine, grown, files(order.slice(from, from + 1_500)))
  expect(refId(grown as TreeRef)).toBe(refId(atOnce))

  const runs: TreeRef[] = []
  for (let from = 0; from < 6_000; from += 500) {
    const writer = engine.writer(null)
    for (const [path, content] of Object.entries(files(order.slice(from, from + 500))))
      await writer.put(p(path), new TextEncoder().encode(content))
    runs.push(await writer.finish())
  }
  const merged = await engine.merge(null, runs, null)
  expect(refId(merged.root)).toBe(refId(atOnce))
  expect(merged.stats).toEqual(await engine.stats(atOnce))

  const shrunk = await commit(
    engine,
    atOnce,
    Object.fromEntries(order.slice(100).map((n) => [name(n), null])),
  )
  const few = await commit(engine, null, files(order.slice(0, 100)))
  expect(refId(shrunk)).toBe(refId(few))
})

test('it is looked up, listed, matched, compared and read like any other', async () => {
  const { engine, blob } = makeEngine()
  const before = await large(engine, 5_000)
  const after = await commit(engine, before, {
    [name(17)]: null,
    [name(2_500)]: 'changed',
    'dir/f002500b': 'new',
    other: 'file',
  })
  const fresh = makeEngine({ blob, seed: 2 }).engine
  expect((await fresh.stat(after, p(name(2_500))))?.sizeBytes).toBe(7)
  expect(await fresh.stat(after, p(name(17)))).toBeUndefined()
  expect(await fresh.stat(after, p('dir'))).toMatchObject({ kind: 'dir', files: 5_000 })
  const page = await collect(fresh.list(after, p('dir'), { after: 'f002498', limit: 3 }))
  expect(page.map((one) => one.path)).toEqual([name(2_499), name(2_500), 'dir/f002500b'].toSorted())
  const matched = await collect(fresh.glob(after, '/dir/f00001?'))
  expect(matched.map((one) => one.path)).toEqual([10, 11, 12, 13, 14, 15, 16, 18, 19].map(name))
  const changed = ['other', name(17), name(2_500), 'dir/f002500b'].toSorted()
  expect((await collect(fresh.diff(before, after))).map((one) => one.path).toSorted()).toEqual(
    changed,
  )
  const datums = await collect(fresh.diffGlob(before, after, '/dir/*'))
  expect(datums.map((one) => one.path).toSorted()).toEqual(
    changed.filter((path) => path !== 'other'),
  )
  expect((await contents(fresh, after)).size).toBe(5_001)
})

test('a commit of one file stores a path of nodes, whatever the size', async () => {
  const { engine, blob } = makeEngine()
  const before = await large(engine, 20_000)
  let stored = 0
  const put = blob.put.bind(blob)
  blob.put = (objects: readonly BlobObject[]) => {
    for (const { bytes } of objects) stored += bytes.length
    return put(objects)
  }
  const after = await commit(engine, before, { [name(10_000)]: 'changed' })
  expect(stored).toBeLessThan(350_000)
  expect((await collect(engine.diff(before, after))).map((one) => one.path)).toEqual([name(10_000)])
})
