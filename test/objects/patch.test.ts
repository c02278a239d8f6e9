import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concat } from '../../src/base/bytes.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { closedSize, cutSize } from '../../src/objects/files/chunker.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import type { PatchEdit } from '../../src/objects/objects.ts'
import {
  bytesOf,
  commit,
  contents,
  cuttingBytes,
  expectSame,
  makeEngine,
  noise,
  p,
} from './fixture.ts'

const MAX = 256 * 1024

type Edit = PatchEdit & { readonly content: Uint8Array }

async function patched(
  engine: ObjectEngine,
  base: TreeRef,
  edits: readonly PatchEdit[],
): Promise<TreeRef> {
  const writer = engine.writer(base)
  await writer.patch(p('f'), edits)
  return (await writer.finishOnto(base)).root
}

/** What a patch means, on bytes. */
function applied(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  const parts: Uint8Array[] = []
  let at = 0
  for (const edit of edits) {
    parts.push(bytes.subarray(at, edit.offset), edit.content)
    at = edit.offset + edit.deleteBytes
  }
  return concat([...parts, bytes.subarray(at)])
}

/** Edits of a file of this size, in order and apart. */
function editsOf(sizeBytes: number, draws: readonly (readonly [number, number, number])[]): Edit[] {
  const cuts = draws.flatMap(([a, b]) => [a, b]).map((x) => Math.floor(x * (sizeBytes + 1)))
  cuts.sort((a, b) => a - b)
  return draws.map(([, , insert], i) => {
    const offset = cuts[2 * i] ?? 0
    // Most edits delete little, some a great deal.
    const far = (cuts[2 * i + 1] ?? 0) - offset
    const deleteBytes = i % 3 === 0 ? far : Math.min(far, i % 7)
    return {
      offset,
      deleteBytes,
      content: noise(insert * 1000 + i, Math.floor(insert ** 4 * 100_000)),
    }
  })
}

const unit = fc.double({ min: 0, max: 1, noNaN: true })

test('a patched file is the file that would have been put, to the id', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(0, 1, 400, 600, 60_000, 70_000, 300_000, 2_000_000),
      fc.array(fc.array(fc.tuple(unit, unit, unit), { maxLength: 5 }), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.integer({ min: 0, max: 1000 }),
      async (sizeBytes, rounds, seed) => {
        const { engine } = makeEngine({ raw: true, seed })
        let bytes: Uint8Array = noise(seed, sizeBytes)
        let root = await commit(engine, null, { f: bytes, other: 'x' })
        for (const draws of rounds) {
          const edits = editsOf(bytes.length, draws)
          root = await patched(engine, root, edits)
          bytes = applied(bytes, edits)
          expectSame(await bytesOf(engine.read(root, p('f'))), bytes)
        }
        const { engine: other } = makeEngine({ raw: true, seed: 9 })
        expect(root.slice(0, 64)).toBe(
          (await commit(other, null, { f: bytes, other: 'x' })).slice(0, 64),
        )
      },
    ),
    { numRuns: 25, seed: 3 },
  )
})

test('where a chunk is closed, nothing that follows moves the cut', () => {
  const bytes = noise(5, 4_000_000)
  let start = 0
  while (bytes.length - start > 2 * MAX) {
    const size = cutSize(bytes, start, bytes.length)
    for (const held of [size - 1, size, size + 1, size + 500]) {
      const closed = closedSize(bytes, start, start + held)
      expect(closed).toBe(held < size ? 0 : size)
    }
    start += size
  }
})

/** Bytes that are cut every 16 KiB, all different. */
function manyChunks(count: number): Uint8Array {
  const block = 16 * 1024
  const tail = cuttingBytes()
  const bytes = new Uint8Array(count * block)
  const random = noise(2, block)
  for (let i = 0; i < count; i++) {
    bytes.set(random, i * block)
    new DataView(bytes.buffer).setUint32(i * block, i)
    bytes.set(tail, (i + 1) * block - tail.length)
  }
  return bytes
}

test('a list of many nodes: edits touch a path of them, and the id is that of the whole', async () => {
  const bytes = manyChunks(3_200)
  const blob = new MemoryBlobStore()
  const { engine } = makeEngine({ raw: true, blob })
  let root = await commit(engine, null, { f: bytes })
  const ends = bytes.length
  const scripts: Edit[][] = [
    [{ offset: 30_000_000, deleteBytes: 0, content: noise(1, 1) }],
    [{ offset: 0, deleteBytes: 0, content: noise(2, 1) }],
    [{ offset: ends, deleteBytes: 2, content: noise(3, 70_000) }],
    [{ offset: 3_000_000, deleteBytes: 10_000_000, content: noise(4, 10) }],
    [
      { offset: 16_384, deleteBytes: 16_384, content: new Uint8Array(0) },
      { offset: 30_000_000, deleteBytes: 3, content: noise(5, 3) },
    ],
    [{ offset: 1_000_000, deleteBytes: 20_000_000, content: new Uint8Array(0) }],
  ]
  let now: Uint8Array = bytes
  for (const [i, edits] of scripts.entries()) {
    const before = await storedBytes(blob)
    root = await patched(engine, root, edits)
    now = applied(now, edits)
    const { engine: fresh } = makeEngine({ raw: true })
    expect(root.slice(0, 64)).toBe((await commit(fresh, null, { f: now })).slice(0, 64))
    if (i < 2) expect((await storedBytes(blob)) - before).toBeLessThan(250_000)
  }
  const { engine: cold } = makeEngine({ raw: true, blob })
  const part = await bytesOf(cold.read(root, p('f'), { offset: 1_234_567, length: 50_000 }))
  expectSame(part, now.subarray(1_234_567, 1_284_567))
  expectSame(await bytesOf(cold.read(root, p('f'))), now)
})

async function storedBytes(blob: MemoryBlobStore): Promise<number> {
  let bytes = 0
  for await (const { sizeBytes } of blob.list('')) bytes += sizeBytes
  return bytes
}

test('a patch of what changed since, or is no file, is a conflict; of what was put before, it is not', async () => {
  const { engine } = makeEngine()
  const a = await commit(engine, null, { f: 'hello world', g: 'old' })
  const b = await commit(engine, a, { f: 'HELLO world' })
  const edit = { offset: 0, deleteBytes: 5, content: noise(1, 2) }
  const writer = engine.writer(a)
  await writer.patch(p('f'), [edit])
  await expect(writer.finishOnto(b)).rejects.toMatchObject({ code: 'PATH_CONFLICT' })
  const none = engine.writer(a)
  await none.patch(p('absent'), [{ ...edit, deleteBytes: 0 }])
  await expect(none.finishOnto(a)).rejects.toMatchObject({ code: 'PATH_CONFLICT' })
  await expect(engine.writer(a).patch(p('f'), [{ ...edit, offset: 9 }])).rejects.toMatchObject({
    code: 'INVALID_OPTION',
  })
  const own = engine.writer(a)
  await own.put(p('f'), noise(2, 10))
  await own.patch(p('f'), [edit])
  await own.patch(p('f'), [{ offset: 1, deleteBytes: 1, content: noise(3, 4) }])
  const { root } = await own.finishOnto(b)
  const first = applied(noise(2, 10), [edit])
  expect((await contents(engine, root)).get('f')).toEqual(
    applied(first, [{ offset: 1, deleteBytes: 1, content: noise(3, 4) }]),
  )
})

test('assembled from parts, a file is what it would have been in one piece; attributes stay beside it', async () => {
  const { engine } = makeEngine({ raw: true })
  const parts = [noise(1, 700_000), noise(2, 100), noise(3, 1_500_000), noise(4, 70_000)]
  const staged = engine.writer(null)
  for (const [i, part] of parts.entries()) await staged.put(p(`part${i}`), part)
  const run = (await staged.finishOnto(null)).root
  const entries = []
  for await (const entry of engine.walk(run)) entries.push(entry)
  const writer = engine.writer(null)
  const attributes = { contentType: 'text/csv', md5: 'ab', user: { owner: 'me', Ünï: 'x' } }
  const put = await writer.assemble(p('f'), entries, attributes)
  const { root } = await writer.finishOnto(null)
  const whole = await commit(engine, null, { f: concat(parts) })
  const found = await engine.stat(root, p('f'))
  expect(found).toMatchObject({ digest: put.digest, attributes })
  expect(found?.digest).toBe((await engine.stat(whole, p('f')))?.digest)
  expect(root.slice(0, 64)).not.toBe(whole.slice(0, 64))
  const grown = engine.writer(root)
  await grown.append(p('f'), noise(5, 10))
  const after = (await grown.finishOnto(root)).root
  expect(await engine.stat(after, p('f'))).toMatchObject({
    attributes: { contentType: 'text/csv', user: { owner: 'me', Ünï: 'x' } },
  })
  await expect(
    engine.writer(null).put(p('f'), noise(1, 1), { user: { big: 'x'.repeat(5000) } }),
  ).rejects.toMatchObject({ code: 'TOO_LARGE' })
})
