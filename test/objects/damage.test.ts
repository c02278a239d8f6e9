import { expect, test } from 'vitest'
import { equalBytes, fromHex, fromUtf8, toHex } from '../../src/base/bytes.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { BlobStore } from '../../src/blob/blob.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { makeTreeRef, refId, refLocation } from '../../src/model/tree-ref.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import type { FileEntry } from '../../src/objects/objects.ts'
import type { NamedRoot } from '../../src/objects/upkeep/verify.ts'
import type { Finding } from '../../src/objects/upkeep/verify-report.ts'
import { damage, damaged, foundIn, richHistory } from './damage.ts'
import { bytesOf, collect, commit, hash, makeEngine, noise, storeKey } from './fixture.ts'

const DAMAGES = 1_000

function over(blob: BlobStore): ObjectEngine {
  const random = seededRandom(2)
  return new ObjectEngine({ blob, hash, storeKey, random, compute: zstdCompute })
}

async function* given(roots: readonly NamedRoot[]): AsyncGenerator<NamedRoot> {
  yield* roots
}

const verified = (blob: BlobStore, roots: readonly NamedRoot[]): Promise<Finding[]> =>
  collect(over(blob).verify({ roots: () => given(roots) }))

test('of 1,000 damages each is found, and no other byte is ever served', async () => {
  const { engine, blob } = makeEngine()
  const roots = await richHistory(engine)
  const keys = (await collect(blob.list(''))).map(({ key }) => key)
  const good = new Map<string, Uint8Array>()
  for (const { name, ref, chunk } of roots)
    if (!chunk && name !== 'a run')
      for await (const file of engine.walk(ref))
        good.set(`${name} ${file.path}`, await bytesOf(engine.readEntry(file)))
  const before = await verified(blob, roots)
  expect(before.filter(({ kind }) => kind === 'pack' || kind === 'hurt')).toEqual([])
  expect(before.at(-1)).toMatchObject({ kind: 'done', packs: keys.length, unneeded: 0 })

  const random = seededRandom(42)
  const kinds = new Map<string, number>()
  let corruptReads = 0
  for (let i = 0; i < DAMAGES; i++) {
    const done = await damage(random, blob, keys)
    const bad = damaged(blob, done)
    kinds.set(done.kind, (kinds.get(done.kind) ?? 0) + 1)
    expect(foundIn(await verified(bad, roots)).toSorted(), `damage ${i}: ${done.kind}`).toEqual(
      done.keys.toSorted(),
    )
    // Reading everything each time would take an hour: one tree in turn, and all of it.
    const { name, ref } = roots[i % 6] as NamedRoot
    corruptReads += await readAll(over(bad), name, ref, good)
  }
  expect([...kinds.values()].every((count) => count > 100)).toBe(true)
  expect(corruptReads).toBeGreaterThan(DAMAGES / 4)
}, 300_000)

/** How many reads end with CORRUPT; all others give the right bytes. */
async function readAll(
  engine: ObjectEngine,
  name: string,
  root: TreeRef,
  good: ReadonlyMap<string, Uint8Array>,
): Promise<number> {
  let corrupt = 0
  const refused = (error: unknown): void => {
    if (!isVarveError(error, 'CORRUPT')) throw error
    corrupt++
  }
  const read = async (file: FileEntry): Promise<void> => {
    try {
      const bytes = await bytesOf(engine.readEntry(file))
      const expected = good.get(`${name} ${file.path}`)
      if (!expected || !equalBytes(bytes, expected)) throw new Error(`other bytes: ${file.path}`)
    } catch (error) {
      refused(error)
    }
  }
  try {
    for await (const file of engine.walk(root)) await read(file)
  } catch (error) {
    refused(error)
  }
  return corrupt
}

test('what is hurt is named: the root, the path, the pack', async () => {
  const { engine, blob } = makeEngine()
  const first = await commit(engine, null, { 'a/f': noise(1, 5_000), 'b/g': noise(2, 5_000) })
  const second = await commit(engine, first, { 'b/g': noise(3, 5_000), 'c/h': noise(4, 100_000) })
  const third = await commit(engine, second, { 'a/f': noise(5, 900) })
  const roots = [first, second, third].map((root, i) => ({ name: `r@b=${i + 1}`, ref: root }))
  const keyOf = (root: TreeRef): string => `packs/${refLocation(root).pack}`
  await blob.delete([keyOf(second)])
  const hurts = (await verified(blob, roots)).flatMap((one) =>
    one.kind === 'hurt' ? [`${one.root}:${one.path}`] : [],
  )
  // Of the second its root is gone with all below; of the third, which names two of its files, those.
  expect(hurts).toEqual(['r@b=2:', 'r@b=3:b/g', 'r@b=3:c/h'])
  const findings = await verified(blob, roots)
  expect(findings).toContainEqual({
    kind: 'pack',
    key: keyOf(second),
    state: 'missing',
    faults: [],
    moreFaults: 0,
  })
  // One repo of several, and the part of a store it needs.
  const ofFirst = over(blob).verify({ roots: () => given(roots.slice(0, 1)), onlyNeeded: true })
  expect((await collect(ofFirst)).at(-1)).toMatchObject({ packs: 1, packsAll: 1, hurt: 0 })
  // Dropped meanwhile: nothing is missed.
  const dropped = roots.map((root) => ({ ...root, kept: () => Promise.resolve(false) }))
  expect(foundIn(await verified(blob, dropped))).toEqual([])
})

test('a damaged chunk hurts only the files that have it, and the rest of its pack can be read', async () => {
  const { engine, blob } = makeEngine({ raw: true })
  const root = await commit(engine, null, { x: noise(1, 40_000), y: noise(2, 40_000) })
  const entry = (await engine.stat(root, 'x' as never)) as FileEntry
  if (!('chunk' in entry.content)) throw new Error('one chunk')
  const { pack, offset, length } = refLocation(entry.content.chunk)
  const key = `packs/${pack}`
  const bytes = new Uint8Array((await blob.get(key)) as Uint8Array)
  bytes[offset + length - 1] = (bytes[offset + length - 1] as number) ^ 1
  const bad = damaged(blob, { kind: 'flip', keys: [key], bytes: [bytes] })
  const findings = await verified(bad, [{ name: 'r@b=1', ref: root }])
  const ids = [refId(entry.content.chunk).slice(0, 16)]
  expect(findings.filter(({ kind }) => kind !== 'progress')).toMatchObject([
    { kind: 'pack', key, state: 'damaged', faults: [{ offset, length, holds: 'chunks', ids }] },
    { kind: 'hurt', root: 'r@b=1', path: 'x', key },
    { kind: 'done', damaged: 1, missing: 0, hurt: 1 },
  ])
})

test('what the files of a tree name in their text is looked up too; roots that cannot be listed are said', async () => {
  const { engine, blob } = makeEngine()
  const output = await commit(engine, null, { out: noise(1, 5_000) })
  const records = await commit(engine, null, { 'a/record': output })
  const names = (content: Uint8Array): TreeRef[] => [fromUtf8(content) as TreeRef]
  const root = { name: 'a job', ref: records, names }
  expect((await verified(blob, [root])).at(-1)).toMatchObject({ packs: 2, unneeded: 0, hurt: 0 })
  const key = `packs/${refLocation(output).pack}`
  await blob.delete([key])
  const findings = await verified(blob, [root])
  expect(foundIn(findings)).toEqual([key])
  expect(findings).toContainEqual(expect.objectContaining({ kind: 'hurt', root: 'a job', key }))
  const cut = async function* (): AsyncGenerator<NamedRoot> {
    yield root
    await engine.getBytes(makeTreeRef(refId(output), { ...refLocation(output), offset: 1 }))
  }
  const last = await collect(over(blob).verify({ roots: cut }))
  expect(last.filter(({ kind }) => kind === 'hurt')).toHaveLength(2)
})

test('runs of a part of the packs reach all of them, and what is missing is found by each', async () => {
  const { engine, blob } = makeEngine()
  let root: TreeRef | null = null
  const roots: NamedRoot[] = []
  for (let i = 0; i < 40; i++) {
    root = await commit(engine, root, { [`f${i}`]: noise(i, 600) })
    roots.push({ name: `r@b=${i}`, ref: root })
  }
  let packs = 0
  for (let seed = 7; seed < 11; seed++) {
    const run = over(blob).verify({ roots: () => given(roots), percent: 25, seed })
    const last = (await collect(run)).at(-1) as Extract<Finding, { kind: 'done' }>
    expect(last.packsAll).toBe(40)
    expect(last.packs).toBeLessThan(25)
    packs += last.packs
  }
  expect(packs).toBe(40)
  const key = `packs/${refLocation((roots[3] as NamedRoot).ref).pack}`
  await blob.delete([key])
  for (const seed of [0, 1, 2, 3]) {
    const run = over(blob).verify({ roots: () => given(roots), percent: 25, seed })
    expect(foundIn(await collect(run))).toEqual([key])
  }
})

test('a forged hint makes a read fail and never gives other bytes', async () => {
  const { engine, blob } = makeEngine()
  const root = await commit(engine, null, {
    a: noise(1, 700),
    b: noise(2, 40_000),
    c: noise(3, 300_000),
    'd/e': noise(4, 900),
  })
  const other = await commit(engine, null, { a: noise(9, 700), b: noise(8, 40_000) })
  const places = [root, other].map(refLocation)
  const random = seededRandom(5)
  let served = 0
  for (const path of ['a', 'b', 'c', 'd/e', '']) {
    const entry = await engine.stat(root, path as never)
    const ref: TreeRef | undefined =
      entry?.kind === 'file' ? (Object.values(entry.content)[0] as TreeRef) : entry?.root
    if (!ref) throw new Error('a stored entry')
    const whole = entry?.kind === 'file' ? await bytesOf(engine.readEntry(entry)) : undefined
    for (let i = 0; i < 200; i++) {
      const { pack, offset, length } = places[i % 2] as (typeof places)[0]
      const end = offset + length
      const from = Math.floor(random.next() * end)
      const forged = makeTreeRef(refId(ref), {
        pack: i % 9 === 0 ? toHex(fromHex(pack).toReversed()) : pack,
        offset: i % 5 === 0 ? refLocation(ref).offset : from,
        length:
          i % 7 === 0 ? refLocation(ref).length : Math.floor(random.next() * (end - from + 9)),
      })
      const fresh = over(blob)
      try {
        if (entry?.kind === 'file') {
          const [form] = Object.keys(entry.content) as ['chunk' | 'list']
          const content = { [form]: forged } as unknown as FileEntry['content']
          const { path: at, sizeBytes, digest } = entry
          const bytes = await bytesOf(
            fresh.readEntry({ kind: 'file', path: at, sizeBytes, digest, content }),
          )
          expect(equalBytes(bytes, whole as Uint8Array)).toBe(true)
        } else expect((await fresh.stats(forged)).files).toBe(4)
        served++
      } catch (error) {
        expect(error).toMatchObject({ code: 'CORRUPT' })
      }
    }
  }
  // Where pack, offset and length happen to be right it is no forgery.
  expect(served).toBeLessThan(50)
})
