import { expect, test } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { refLocation } from '../../src/model/tree-ref.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { Marker } from '../../src/objects/upkeep/mark.ts'
import type { Root } from '../../src/objects/upkeep/mark.ts'
import { PackListing } from '../../src/objects/packs/pack-listing.ts'
import { PlaceSet } from '../../src/objects/packs/place-set.ts'
import { makeEngine, noise, p } from './fixture.ts'

async function* roots(...given: (TreeRef | Root)[]): AsyncGenerator<Root> {
  for (const one of given) yield typeof one === 'string' ? { ref: one } : one
}

const packsOf = (listing: PackListing): string[] =>
  Array.from({ length: listing.count }, (_, n) => n)
    .filter((n) => listing.isUsed(n))
    .map((n) => listing.name(n))

test('a set of places is exact, and says when it is full', () => {
  const random = seededRandom(3)
  const set = new PlaceSet(64 * 1024)
  const known = new Set<string>()
  for (let i = 0; i < 3_000; i++) {
    const [a, b] = [Math.floor(random.next() * 60), Math.floor(random.next() * 2 ** 32)]
    expect(set.add(a, b)).toBe(!known.has(`${a} ${b}`))
    known.add(`${a} ${b}`)
    expect(set.add(a, b)).toBe(false)
    expect(set.has(a, (b + 1) >>> 0)).toBe(known.has(`${a} ${(b + 1) >>> 0}`))
  }
  expect(set.size).toBe(known.size)
  expect(() => {
    for (let i = 0; i < 10_000; i++) set.add(100, i)
  }).toThrow(/cannot collect: more than \d+ nodes are in use, which is all that 65536 bytes hold/)
  expect(set.bytes).toBeLessThanOrEqual(64 * 1024)
})

test('a mark finds directories, lists, chunks, runs and what their marks hold', async () => {
  const { engine, blob } = makeEngine()
  const base = engine.writer(null)
  await base.put(p('big'), noise(1, 900_000))
  for (let n = 0; n < 3_000; n++) await base.put(p(`many/${n}-${'x'.repeat(60)}`), noise(n, 700))
  const tree = await base.finish()
  const more = engine.writer(tree)
  await more.append(p('big'), noise(2, 5_000))
  await more.put(p('other'), noise(3, 70_000))
  const run = await more.finish()
  const unused = engine.writer(null)
  await unused.put(p('nobody'), noise(4, 3_000))
  await unused.finish()

  const listing = await PackListing.read(blob)
  const marker = new Marker(engine.store, listing)
  await marker.mark(roots(run))
  const ofRun = packsOf(listing)
  // A run does not keep its base.
  expect(ofRun).toEqual([refLocation(run).pack])
  const before = marker.nodes
  await marker.mark(roots(tree))
  expect(packsOf(listing)).toEqual([...ofRun, refLocation(tree).pack].toSorted())
  expect(listing.count).toBe(3)
  expect(marker.nodes).toBeGreaterThan(before + 2)
  // What was walked is not walked again.
  const walked = marker.nodes
  await marker.mark(roots(tree, run))
  expect(marker.nodes).toBe(walked)
  for (let n = 0; n < listing.count; n++)
    expect(listing.usedBytes(n)).toBe(listing.isUsed(n) ? listing.sizeBytes(n) : 0)
})

test('two copies of one node are two: each keeps what it points at', async () => {
  const blob = new MemoryBlobStore()
  const trees: TreeRef[] = []
  // Two processes that know nothing of one another.
  for (const seed of [1, 2]) {
    const writer = makeEngine({ seed, blob }).engine.writer(null)
    await writer.put(p('a/b'), noise(9, 40_000))
    trees.push(await writer.finish())
  }
  const [one, two] = trees as [TreeRef, TreeRef]
  expect(one.slice(0, 64)).toBe(two.slice(0, 64))
  const { engine } = makeEngine({ seed: 3, blob })
  await Array.fromAsync(engine.walk(one))
  const listing = await PackListing.read(blob)
  const marker = new Marker(engine.store, listing)
  await marker.mark(roots(two))
  expect(packsOf(listing)).toEqual([refLocation(two).pack])
})

test('files that name trees are read, also where the directory was walked before', async () => {
  const { engine, blob } = makeEngine()
  const inner = engine.writer(null)
  await inner.put(p('x'), noise(1, 2_000))
  const named = await inner.finish()
  const outer = engine.writer(null)
  await outer.put(p('records/1'), new TextEncoder().encode(named))
  const records = await outer.finish()
  const listing = await PackListing.read(blob)
  const marker = new Marker(engine.store, listing)
  await marker.mark(roots(records))
  expect(packsOf(listing)).toEqual([refLocation(records).pack])
  const names = (content: Uint8Array): TreeRef[] => [new TextDecoder().decode(content) as TreeRef]
  await marker.mark(roots({ ref: records, names }))
  expect(packsOf(listing)).toHaveLength(2)
})

test('what cannot be read ends the mark', async () => {
  const { engine, blob } = makeEngine()
  const writer = engine.writer(null)
  await writer.put(p('a'), noise(1, 2_000))
  const tree = await writer.finish()
  await blob.delete([`packs/${refLocation(tree).pack}`])
  const { engine: other } = makeEngine({ blob })
  const marker = new Marker(other.store, await PackListing.read(blob))
  await expect(marker.mark(roots(tree))).rejects.toMatchObject({ code: 'CORRUPT' })
})
