import { expect, test } from 'vitest'
import { equalBytes, utf8 } from '../../src/base/bytes.ts'
import { refId, refLocation } from '../../src/model/tree-ref.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import { comparePaths } from '../../src/objects/trees/walk.ts'
import {
  bytesOf,
  collect,
  commit,
  contents,
  makeEngine,
  noise,
  p,
  pieces,
  prose,
} from './fixture.ts'

const SIZES = [0, 1, 511, 512, 513, 4096, 32_768, 65_536, 65_537, 262_144, 262_145, 1_500_000]

for (const raw of [true, false])
  test(`content of every size comes back, ${raw ? 'raw' : 'compressed'}, warm and cold`, async () => {
    const { engine, blob } = makeEngine({ raw })
    const writer = engine.writer(null)
    const files = new Map<string, Uint8Array>()
    for (const [i, size] of SIZES.entries())
      for (const [kind, make] of Object.entries({ noise, prose })) {
        const bytes = make(i + 1, size)
        files.set(`${kind}/${size}`, bytes)
        const entry = await writer.put(
          p(`${kind}/${size}`),
          i % 2 ? bytes : pieces(bytes, [1, 70_000, 13]),
        )
        expect(entry.sizeBytes).toBe(size)
      }
    const run = await writer.finish()
    const { root, stats } = await engine.merge(null, [run], null)
    const total = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0)
    expect(stats).toEqual({ files: files.size, bytes: total })
    for (const reader of [engine, makeEngine({ raw, blob, seed: 2 }).engine]) {
      const found = await contents(reader, root)
      expect([...found.keys()].toSorted()).toEqual([...files.keys()].toSorted())
      for (const [path, bytes] of files)
        expect(equalBytes(found.get(path) as Uint8Array, bytes)).toBe(true)
    }
  })

test('ranges of every form of file are those of the whole, cut short at the end', async () => {
  const { engine } = makeEngine()
  const whole = noise(3, 900_000)
  for (const size of [300, 5_000, 60_000, 900_000]) {
    const bytes = whole.subarray(0, size)
    const root = await commit(engine, null, { f: bytes, g: 'a neighbour' })
    for (const [offset, length] of [
      [0, 1],
      [size - 1, 10],
      [size, 5],
      [size + 9, 5],
      [size >> 1, size],
      [7, 123_456],
    ] as const)
      expect(await bytesOf(engine.read(root, p('f'), { offset, length }))).toEqual(
        bytes.slice(offset, offset + length),
      )
    expect(await bytesOf(engine.read(root, p('f'), { offset: size - 3 }))).toEqual(
      bytes.slice(size - 3),
    )
  }
})

test('a commit of little is one object and one put; nothing new is none', async () => {
  const { engine, blob } = makeEngine()
  let puts = 0
  const put = blob.put.bind(blob)
  blob.put = (objects) => {
    puts += objects.length
    return put(objects)
  }
  const first = await commit(engine, null, { 'a/b/c': noise(1, 2000), 'a/d': 'x' })
  expect(puts).toBe(1)
  const second = await commit(engine, first, { 'a/d': 'y' })
  expect(puts).toBe(2)
  expect(await commit(engine, second, {})).toBe(second)
  expect(refId((await engine.merge(second, [], second)).root)).toBe(refId(second))
  expect(puts).toBe(2)
})

test('a chunk of an earlier version, or written before, is not stored again', async () => {
  const { engine, blob } = makeEngine()
  const big = noise(5, 3_000_000)
  const first = await commit(engine, null, { big })
  const before = await stored(blob)
  const edited = new Uint8Array(big)
  edited[1_500_000] = (edited[1_500_000] as number) ^ 1
  const fresh = makeEngine({ blob, seed: 9 }).engine
  const second = await commit(fresh, first, { big: edited })
  expect((await stored(blob)) - before).toBeLessThan(600_000)
  expect(equalBytes(await bytesOf(fresh.read(second, p('big'))), edited)).toBe(true)
  const again = await stored(blob)
  await commit(fresh, second, { elsewhere: edited })
  expect((await stored(blob)) - again).toBeLessThan(10_000)
})

test('questions: stat, list, walk, stats, not found', async () => {
  const { engine } = makeEngine()
  const root = await commit(engine, null, {
    'b/x': '1',
    'b/y/z': '22',
    'b-': '3',
    a: '4',
    é: '5',
    '😀': '6',
    '\uE000': '7',
  })
  expect((await collect(engine.list(root, p('')))).map((e) => e.path)).toEqual([
    'a',
    'b',
    'b-',
    'é',
    '\uE000',
    '😀',
  ])
  expect(
    (await collect(engine.list(root, p(''), { after: 'a', limit: 2 }))).map((e) => e.path),
  ).toEqual(['b', 'b-'])
  expect(
    (await collect(engine.list(root, p(''), { after: 'aa', limit: 1 }))).map((e) => e.path),
  ).toEqual(['b'])
  expect(await collect(engine.list(root, p('nowhere')))).toEqual([])
  const walked = (await collect(engine.walk(root))).map((f) => f.path as string)
  expect(walked).toEqual(['a', 'b/x', 'b/y/z', 'b-', 'é', '\uE000', '😀'])
  expect(walked.toSorted(comparePaths)).toEqual(walked)
  expect((await collect(engine.walk(root, p('b/y')))).map((f) => f.path)).toEqual(['b/y/z'])
  expect((await collect(engine.walk(root, p('a')))).map((f) => f.path)).toEqual(['a'])
  expect(await engine.stat(root, p('b'))).toMatchObject({ kind: 'dir', files: 2, sizeBytes: 3 })
  expect(await engine.stat(root, p('b/y/z'))).toMatchObject({ kind: 'file', sizeBytes: 2 })
  expect(await engine.stat(root, p('a/z'))).toBeUndefined()
  expect(await engine.stat(null, p(''))).toMatchObject({ kind: 'dir', files: 0 })
  expect(await engine.stats(root)).toEqual({ files: 7, bytes: 8 })
  await expect(bytesOf(engine.read(root, p('no')))).rejects.toMatchObject({
    code: 'NOT_FOUND_PATH',
  })
  await expect(bytesOf(engine.read(root, p('b')))).rejects.toMatchObject({ code: 'NOT_FOUND_PATH' })
  await expect(bytesOf(engine.read(null, p('b')))).rejects.toMatchObject({ code: 'NOT_FOUND_PATH' })
})

test('entries survive JSON: read, copy of a file and of a directory by reference', async () => {
  const { engine, blob } = makeEngine()
  const big = noise(4, 400_000)
  const root = await commit(engine, null, { 'd/big': big, 'd/mid': noise(2, 3000), 'd/tiny': 'é' })
  const before = await stored(blob)
  const writer = engine.writer(root)
  const dir = JSON.parse(JSON.stringify(await engine.stat(root, p('d'))))
  await writer.copy(p('e'), dir)
  await writer.put(p('e/more'), utf8('+'))
  for (const name of ['big', 'mid', 'tiny']) {
    const entry = JSON.parse(JSON.stringify(await engine.stat(root, p(`d/${name}`))))
    expect(await bytesOf(engine.readEntry(entry))).toEqual(
      await bytesOf(engine.read(root, p(`d/${name}`))),
    )
    await writer.copy(p(`f/${name}`), entry)
  }
  const { root: copied } = await writer.finishOnto(root)
  expect((await stored(blob)) - before).toBeLessThan(2000)
  const d = await engine.stat(copied, p('d'))
  expect((await engine.stat(copied, p('f')))?.digest).toBe(d?.digest)
  expect((await collect(engine.walk(copied, p('e')))).map((f) => f.path)).toEqual([
    'e/big',
    'e/mid',
    'e/more',
    'e/tiny',
  ])
})

test('the entry a put returns has the digest the tree will show', async () => {
  const { engine } = makeEngine()
  const writer = engine.writer(null)
  for (const size of [3, 3000, 300_000]) {
    const put = await writer.put(p(`f${size}`), noise(size, size))
    const root = await commit(engine, null, { other: noise(size, size) })
    expect((await engine.stat(root, p('other')))?.digest).toBe(put.digest)
  }
})

test('a small tree is read with one request, by who wrote it with none, and what was wrong is read again', async () => {
  const { engine, blob } = makeEngine()
  const files = { a: prose(1, 2_000), 'd/b': prose(2, 5_000), 'd/c': prose(3, 100) }
  const root = await commit(engine, null, files)
  const get = blob.get.bind(blob)
  let gets = 0
  let isWrong = false
  blob.get = async (key, range) => {
    gets++
    const bytes = await get(key, range)
    return isWrong ? bytes?.with(-40, ~(bytes.at(-40) ?? 0)) : bytes
  }
  const all = async (of: ObjectEngine): Promise<number> => (await contents(of, root)).size
  expect(await all(engine)).toBe(3)
  expect(gets).toBe(0)
  const { engine: cold } = makeEngine({ blob })
  isWrong = true
  await expect(all(cold)).rejects.toMatchObject({ code: 'CORRUPT' })
  isWrong = false
  expect(await all(cold)).toBe(3)
  expect(gets).toBe(2)
  // Its reader may change what it is given, and nobody else sees that.
  const { engine: other } = makeEngine({ blob })
  for (const bytes of (await contents(other, root)).values()) bytes.fill(0)
  expect((await contents(other, root)).get('d/b')).toEqual(files['d/b'])
})

test('a flipped bit anywhere is CORRUPT or harmless, never other bytes; so is what is missing', async () => {
  const { engine, blob } = makeEngine()
  const files = {
    a: noise(1, 700),
    'd/b': prose(2, 9000),
    'd/big': noise(3, 140_000),
    t: utf8('tiny'),
  }
  const root = await commit(engine, null, files)
  const [{ key }] = (await collect(blob.list(''))) as unknown as [{ key: string }]
  const good = (await blob.get(key)) as Uint8Array
  const last = refLocation(root)
  const end = last.offset + last.length
  const outcomes = { corrupt: 0, harmless: 0 }
  for (let i = 0; i < 400; i++) {
    // Mostly among the nodes, which lie at the end; readers do not look at the footer behind them.
    const at = i % 2 ? end - 1 - i : Math.floor((end * i) / 400)
    const bad = new Uint8Array(good)
    bad[at] = (bad[at] as number) ^ (1 << (i % 8))
    const broken = makeEngine()
    await broken.blob.put([{ key, bytes: bad }])
    try {
      const found = await contents(broken.engine, root)
      for (const [path, bytes] of Object.entries(files)) expect(found.get(path)).toEqual(bytes)
      outcomes.harmless++
    } catch (error) {
      expect(error).toMatchObject({ code: 'CORRUPT' })
      outcomes.corrupt++
    }
  }
  // Only the pack's first eight bytes are not read.
  expect(outcomes.corrupt).toBeGreaterThan(390)
  await expect(contents(makeEngine().engine, root)).rejects.toMatchObject({ code: 'CORRUPT' })
  const { offset, length, pack } = refLocation(root)
  const off = `${refId(root)}.${pack}.${offset + 1}.${length}` as TreeRef
  await expect(contents(makeEngine({ blob }).engine, off)).rejects.toMatchObject({
    code: 'CORRUPT',
  })
})

test('a failed put fails the finish, and nothing is remembered of it', async () => {
  const { engine, blob } = makeEngine()
  const put = blob.put.bind(blob)
  blob.put = () => Promise.reject(new Error('disk on fire'))
  await expect(commit(engine, null, { f: noise(1, 5000) })).rejects.toThrow('disk on fire')
  blob.put = put
  const root = await commit(engine, null, { f: noise(1, 5000) })
  expect(await bytesOf(makeEngine({ blob }).engine.read(root, p('f')))).toEqual(noise(1, 5000))
})

test('packs roll over and a stream that fails leaves the writer usable', async () => {
  const { engine, blob } = makeEngine({ raw: true })
  const writer = engine.writer(null)
  const block = noise(8, 1 << 20)
  async function* many(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 70; i++) {
      block[i] = (block[i] as number) ^ 0xff
      yield* pieces(block, [1 << 16])
    }
  }
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield block
    throw new Error('the client went away')
  }
  await expect(writer.put(p('no'), broken())).rejects.toThrow('went away')
  await writer.put(p('yes'), many())
  const { root, stats } = await writer.finishOnto(null)
  expect(stats).toEqual({ files: 1, bytes: 70 << 20 })
  for await (const { sizeBytes } of blob.list('')) expect(sizeBytes).toBeLessThanOrEqual(32 << 20)
  let size = 0
  for await (const bytes of engine.read(root, p('yes'))) size += bytes.length
  expect(size).toBe(70 << 20)
})

test('what cannot be written is refused at once', async () => {
  const { engine } = makeEngine()
  const writer = engine.writer(null)
  await expect(writer.put(p(''), utf8('x'))).rejects.toMatchObject({ code: 'INVALID_PATH' })
  const entry = await writer.put(p('f'), noise(1, 1000))
  expect(() => entry.content).toThrow('after its writer has finished')
  await writer.finish()
  expect(await bytesOf(engine.readEntry(entry))).toEqual(noise(1, 1000))
  await expect(writer.put(p('g'), utf8('x'))).rejects.toThrow('no more')
})

test('small values: putBytes, getBytes', async () => {
  const { engine, blob } = makeEngine()
  for (const bytes of [utf8(''), utf8('note'), noise(1, 100_000)]) {
    const ref = await engine.putBytes(bytes)
    expect(await makeEngine({ blob, seed: 5 }).engine.getBytes(ref)).toEqual(bytes)
  }
})

async function stored(blob: ReturnType<typeof makeEngine>['blob']): Promise<number> {
  let sum = 0
  for await (const { sizeBytes } of blob.list('')) sum += sizeBytes
  return sum
}
