import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { childrenOf } from '../../src/objects/trees/children.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import { itemOfRef } from '../../src/objects/trees/entries.ts'
import { Ids } from '../../src/objects/ids.ts'
import type { Item } from '../../src/objects/trees/item.ts'
import { PackStore } from '../../src/objects/store.ts'
import { usageOf } from '../../src/objects/upkeep/usage.ts'
import type { Usage } from '../../src/objects/upkeep/usage.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { commit, hash, makeEngine, noise, p, storeKey } from './fixture.ts'

function readerOf(blob: MemoryBlobStore): PackStore {
  const ids = new Ids(hash, storeKey)
  const random = seededRandom(9)
  return new PackStore({ blob, random, compute: zstdCompute, ids, cacheBytes: 1 << 20 })
}

/** Every place a tree uses, with its length: each tree walked whole. */
async function placesOf(store: PackStore, root: TreeRef): Promise<Map<string, number>> {
  const places = new Map<string, number>()
  const visit = async (item: Item, isNode: boolean): Promise<void> => {
    if (item.place?.pack === '-') return
    if (item.place) {
      const { pack, offset, length } = item.place
      places.set(`${pack}.${offset}`, length)
    }
    if (!isNode) return
    const { nodes, chunks } = await childrenOf(store, item)
    for (const node of nodes) await visit(node, true)
    for (const chunk of chunks) await visit(chunk, false)
  }
  if (root !== store.emptyRef) await visit(itemOfRef(root), true)
  return places
}

async function plainUsage(
  store: PackStore,
  groups: readonly (readonly TreeRef[])[],
): Promise<Usage> {
  const all: Map<string, number>[] = []
  for (const roots of groups) {
    const group = new Map<string, number>()
    for (const root of roots)
      for (const [place, length] of await placesOf(store, root)) group.set(place, length)
    all.push(group)
  }
  const sum = (places: Iterable<[string, number]>): number => {
    let bytes = 0
    for (const [, length] of places) bytes += length
    return bytes
  }
  return {
    groups: all.map((mine) => ({
      storedBytes: sum(mine),
      uniqueBytes: sum(
        [...mine].filter(([place]) => all.every((one) => one === mine || !one.has(place))),
      ),
    })),
    storedBytes: sum(new Map(all.flatMap((one) => [...one]))),
  }
}

/** A history of edits; an edit may put back what was there before. */
async function history(engine: ObjectEngine, edits: readonly Edit[]): Promise<TreeRef[]> {
  const roots: TreeRef[] = []
  for (const { path, content, sizeBytes, back } of edits) {
    const from = back === null ? roots.at(-1) : roots[back % Math.max(1, roots.length)]
    const bytes = content === 0 ? null : noise(content, sizeBytes)
    roots.push(await commit(engine, from ?? null, { [path]: bytes }))
  }
  return roots
}

interface Edit {
  readonly path: string
  readonly content: number
  readonly sizeBytes: number
  readonly back: number | null
}

const edit: fc.Arbitrary<Edit> = fc.record({
  path: fc.constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/a', 'x/y'),
  content: fc.nat(3),
  sizeBytes: fc.constantFrom(10, 700, 40_000, 400_000),
  back: fc.option(fc.nat(9), { freq: 4 }),
})

test('any history in any groups is counted as by walking every tree whole', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(edit, { minLength: 1, maxLength: 10 }),
      fc.array(fc.nat(3), { minLength: 10, maxLength: 10 }),
      fc.boolean(),
      async (edits, choice, alone) => {
        const { engine, blob } = makeEngine()
        const roots = await history(engine, edits)
        const groups = alone
          ? roots.map((root) => [root])
          : [0, 1, 2, 3].map((group) => roots.filter((_, i) => choice[i] === group))
        const store = readerOf(blob)
        expect(await usageOf(store, groups)).toEqual(await plainUsage(store, groups))
      },
    ),
    { numRuns: 60 },
  )
})

test('what one commit brought and the next took away is its own; what came again is not', async () => {
  const { engine, blob } = makeEngine()
  const first = await commit(engine, null, { 'a/x': noise(1, 100_000), 'b/y': noise(2, 100_000) })
  const second = await commit(engine, first, { 'a/x': noise(3, 300_000) })
  const writer = engine.writer(second)
  const old = await engine.stat(first, p('a/x'))
  if (!old) throw new Error('no file')
  await writer.copy(p('a/x'), old)
  const { root: third } = await writer.finishOnto(second)
  const { groups, storedBytes } = await engine.usage([[third], [second], [first]])
  const [, middle, oldest] = groups
  expect(middle?.uniqueBytes).toBeGreaterThan(300_000)
  expect(middle?.uniqueBytes).toBeLessThan(303_000)
  expect(oldest?.uniqueBytes).toBeLessThan(3_000)
  expect(oldest?.storedBytes).toBeGreaterThan(200_000)
  expect(storedBytes).toBeLessThan((await blobBytes(blob)) + 1)
})

async function blobBytes(blob: MemoryBlobStore): Promise<number> {
  let bytes = 0
  for await (const { sizeBytes } of blob.list('')) bytes += sizeBytes
  return bytes
}

test('in a small table it takes more passes and comes to the same', async () => {
  const { engine, blob } = makeEngine()
  const roots: TreeRef[] = []
  for (let i = 0; i < 6; i++) {
    const files: Record<string, Uint8Array> = {}
    for (let n = 0; n < 60; n++)
      files[`d${n % 5}/f${n}`] = noise(i % 4 === 0 ? n : n * 7 + i, 40_000)
    roots.push(await commit(engine, roots.at(-1) ?? null, files))
  }
  const store = readerOf(blob)
  const groups = roots.map((root) => [root])
  const whole = await usageOf(store, groups)
  expect(whole).toEqual(await plainUsage(store, groups))
  // Room for 192 places, then for 48: all are over 200, nodes are under 48.
  for (const placeBytes of [4096, 0])
    expect(await usageOf(store, groups, { placeBytes })).toEqual(whole)
  // Folders too large to lie in the one above: nodes alone are too many.
  const deep: Record<string, string> = {}
  for (let n = 0; n < 60 * 25; n++) deep[`e${n % 60}/f${n}`] = 'x'.repeat(480) + n
  const root = await commit(engine, null, deep)
  const nodes = usageOf(store, [[root]], { placeBytes: 0 })
  await expect(nodes).rejects.toMatchObject({ code: 'TOO_LARGE' })
})
