import { expect, test } from 'vitest'
import { compareUtf8, fromUtf8, utf8 } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { Random } from '../../src/base/random.ts'
import { Draft, Layers } from '../../src/objects/changes/draft.ts'
import { Folding } from '../../src/objects/changes/layers.ts'
import { PackStore } from '../../src/objects/store.ts'
import { Ids } from '../../src/objects/ids.ts'
import type { Item } from '../../src/objects/trees/item.ts'
import {
  CHUNK,
  DIR,
  idItem,
  inlineBytes,
  inlineItem,
  MARKED,
  sameItem,
  TOMBSTONE,
} from '../../src/objects/trees/item.ts'
import { Leaf } from '../../src/objects/trees/leaf.ts'
import { nameHash } from '../../src/objects/trees/name-hash.ts'
import {
  childOf,
  decodeDir,
  dirNode,
  encodeDir,
  entriesOf,
  entryBytes,
  madeDir,
  placeIn,
  smallDir,
} from '../../src/objects/trees/node.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { hash, noise, storeKey } from './fixture.ts'

/** Long and short, alike in their beginnings, of every length of UTF-8. */
function names(random: Random, count: number, alphabet: readonly string[]): string[] {
  const all = new Set<string>()
  while (all.size < count) {
    let name = random.next() < 0.3 ? 'the same beginning ' : ''
    const size = 1 + Math.floor(random.next() ** 4 * 150)
    for (let i = 0; i < size; i++) name += alphabet[Math.floor(random.next() * alphabet.length)]
    all.add(name)
  }
  return [...all].toSorted(compareUtf8)
}

const ASCII = ['a', 'b', '0', ' ', '~', '.']
const MIXED = [...ASCII, 'é', 'ÿ', '€', '\u{fffd}', '\u{10348}', '\u{ff5e}']

function someItem(random: Random, seed: number): Item {
  const place = { pack: '0123456789abcdef'.repeat(2), offset: seed * 100, length: 90 }
  const id = noise(seed + 1, 32)
  const size = { sizeBytes: Math.floor(random.next() ** 6 * 2 ** 40), files: 300 }
  const kind = Math.floor(random.next() * 7)
  if (kind === 0) return inlineItem(noise(seed, seed % 200))
  if (kind === 1) return idItem(DIR, id, place, size)
  if (kind === 2) return smallDir(dirNode(['x', 'y'], [someItem(random, seed + 7), TOMBSTONE]))
  if (kind === 3) return inlineItem(utf8('with more')).withAttributes(noise(seed, 40))
  if (kind === 4) return idItem(MARKED, id, place, size)
  const chunk = idItem(CHUNK, id, place, { sizeBytes: size.sizeBytes })
  return kind === 5 ? chunk : chunk.replacing(true)
}

function read(random: Random, all: readonly string[]): { leaf: Leaf; items: Item[] } {
  const items = all.map((_, i) => someItem(random, i))
  const leaf = decodeDir(encodeDir(dirNode(all, items)).stored().slice())
  if (!(leaf instanceof Leaf)) throw new Error('a leaf')
  return { leaf, items }
}

test('a leaf says of each entry what went into it, and writes it as it was', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed)
    const all = names(random, 60, seed % 2 ? ASCII : MIXED)
    const { leaf, items } = read(random, all)
    const made = dirNode(all, items)
    expect(leaf.names).toEqual(all)
    expect(all.map((_, i) => leaf.passingNameAt(i))).toEqual(all)
    for (const [i, item] of items.entries()) {
      const name = all[i] as string
      expect(sameItem(leaf.itemAt(i), item)).toBe(true)
      expect(leaf.itemAt(i).place).toEqual(item.place)
      expect([leaf.kindAt(i), leaf.sizeBytesAt(i), leaf.filesAt(i)]).toEqual([
        item.kind,
        item.sizeBytes,
        item.files,
      ])
      expect(leaf.itemAt(i).replaces).toBe(item.replaces)
      expect(leaf.entryBytesAt(i)).toBe(entryBytes({ name, value: item }))
      expect(leaf.hashAt(7, 0, i)).toBe(nameHash(7, 0, name))
      expect(all.map((other) => Math.sign(leaf.orderAt(i, other)))).toEqual(
        all.map((other) => Math.sign(compareUtf8(name, other))),
      )
      expect(placeIn(leaf, name)).toBe(i)
      expect(childOf(leaf, `${name}\u{1}`)).toBeUndefined()
    }
    const { files, sizeBytes, marks } = leaf
    expect({ files, sizeBytes, marks }).toEqual({
      files: made.files,
      sizeBytes: made.sizeBytes,
      marks: made.marks,
    })
    const stored = encodeDir(made).stored().slice()
    expect(encodeDir(leaf).stored()).toEqual(stored)
    expect(encodeDir(madeDir(entriesOf(leaf))).stored()).toEqual(stored)
  }
})

test('entries are the same where name and item are, whatever lies around them', () => {
  const random = seededRandom(5)
  const all = names(random, 40, MIXED)
  const { leaf, items } = read(random, all)
  const other = decodeDir(
    encodeDir(dirNode(all.slice(1), items.slice(1).with(3, TOMBSTONE)))
      .stored()
      .slice(),
  ) as Leaf
  for (let i = 1; i < leaf.count; i++) expect(leaf.isSameAt(i, other, i - 1)).toBe(i !== 4)
  expect(leaf.isSameAt(1, other, 1)).toBe(false)
})

test('what is cut short or no name is found when a node is read, not when it is used', () => {
  const random = seededRandom(3)
  const stored = encodeDir(
    dirNode(
      ['a', 'é', 'ö'],
      [0, 1, 2].map((i) => someItem(random, i)),
    ),
  )
    .stored()
    .slice()
  const size = new DataView(stored.buffer).getUint32(0, true)
  for (let cut = 1; cut < size; cut++) {
    const short = new Uint8Array([
      ...stored.subarray(0, 4 + size - cut),
      ...stored.subarray(4 + size),
    ])
    new DataView(short.buffer).setUint32(0, size - cut, true)
    expect(() => decodeDir(short)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  }
  const wrong = stored.slice()
  const at = wrong.findIndex((byte, i) => byte === 0xc3 && wrong[i + 1] === 0xa9)
  wrong[at + 1] = 0x20
  expect(() => decodeDir(wrong)).toThrow('a name is not UTF-8')
})

/** A directory of a run, as it is met in the node above it. */
function asRead(draft: Draft): Item {
  const all = draft.names()
  const node = dirNode(
    all,
    all.map((name) => draft.children.get(name) as Item),
  )
  const above = decodeDir(
    encodeDir(dirNode(['d'], [smallDir(node)]))
      .stored()
      .slice(),
  ) as Leaf
  return above.itemAt(0)
}

test('layers are merged in byte order of their names, equal names from the lowest up', async () => {
  const store = new PackStore({
    blob: new MemoryBlobStore(),
    random: seededRandom(1),
    compute: undefined,
    ids: new Ids(hash, storeKey),
    cacheBytes: 2 ** 20,
  })
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed)
    const all = names(random, 200, MIXED)
    const drafts = Array.from({ length: 1 + (seed % 9) }, () => new Draft())
    const model = new Map<string, string>()
    for (const [n, draft] of drafts.entries())
      for (const name of all)
        if (random.next() < 0.4) {
          draft.children.set(name, inlineItem(utf8(`${n}`)))
          model.set(name, `${n}`)
        }
    const clash = (path: string): void => expect.fail(path)
    const over = drafts.map((draft, n) => (n % 3 ? asRead(draft) : draft))
    const folding = new Folding(store, new Layers('base', over), '', clash)
    const found: [string, string][] = []
    for (let batch = await folding.next(); batch; batch = await folding.next())
      for (const { name, value } of batch) found.push([name, fromUtf8(inlineBytes(value as Item))])
    expect(found).toEqual([...model].toSorted(([a], [b]) => compareUtf8(a, b)))
  }
})
