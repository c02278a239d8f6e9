import { zstdDecompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { concat, equalBytes } from '../../src/base/bytes.ts'
import { must } from '../../src/base/assert.ts'
import type { LocatedChunk } from '../../src/objects/objects.ts'
import { collect, commit, hash, makeEngine, noise, p, prose } from './fixture.ts'

for (const raw of [true, false])
  test(`what is located, ${raw ? 'raw' : 'compressed'}, is the file, chunk by chunk`, async () => {
    const { engine, blob } = makeEngine({ raw })
    const files: Record<string, Uint8Array> = {
      noise: noise(1, 3_000_000),
      other: noise(2, 20_000),
      prose: prose(3, 3_000_000),
      one: noise(4, 40_000),
      inline: noise(5, 500),
    }
    const root = await commit(engine, null, files)
    const open = async (chunk: LocatedChunk): Promise<Uint8Array> => {
      if ('bytes' in chunk) return chunk.bytes
      const { key, offset, length, headBytes, zstd } = chunk.frame
      const body = must(
        await blob.get(key, { offset: offset + headBytes, length: length - headBytes }),
        'frame',
      )
      return zstd ? zstdDecompressSync(body) : body
    }
    for (const name of ['noise', 'prose', 'one']) {
      const chunks = await collect(engine.locate(root, p(name)))
      const parts = await Promise.all(chunks.map(open))
      expect(equalBytes(concat(parts), files[name] as Uint8Array), name).toBe(true)
      expect(chunks.map(({ sizeBytes }) => sizeBytes)).toEqual(parts.map(({ length }) => length))
      expect(chunks.map(({ id }) => id)).toEqual(parts.map((part) => engine.chunkId(hash(part))))
      expect(await collect(engine.locate(root, p(name), chunks.length - 1))).toEqual(
        chunks.slice(-1),
      )
      const zstd = chunks.filter((chunk) => 'frame' in chunk && chunk.frame.zstd)
      if (raw || name === 'one') expect(zstd).toEqual([])
      if (!raw && name === 'prose') expect(zstd.length).toBeGreaterThan(5)
    }
    expect(await collect(engine.locate(root, p('inline')))).toEqual([])
    await expect(collect(engine.locate(root, p('none')))).rejects.toMatchObject({
      code: 'NOT_FOUND_PATH',
    })
  })

test('no frame that is told holds bytes of another file, though they lie in between', async () => {
  const { engine, blob } = makeEngine({ raw: true })
  const secrets = [noise(7, 30_000), noise(8, 30_000)]
  const [first, second] = secrets as [Uint8Array, Uint8Array]
  const root = await commit(engine, null, { first, second, wanted: noise(9, 5_000_000) })
  const chunks = await collect(engine.locate(root, p('wanted')))
  const frames = chunks.flatMap((chunk) => ('frame' in chunk ? [chunk.frame] : []))
  const { key, offset } = must(frames[0], 'frame')
  const last = must(frames.at(-1), 'frame')
  const length = last.offset + last.length - offset
  const reach = must(await blob.get(key, { offset, length }), 'pack')
  const told = await Promise.all(
    frames.map(async (frame) => must(await blob.get(key, frame), 'frame')),
  )
  for (const secret of secrets) {
    expect(Buffer.from(reach).includes(Buffer.from(secret))).toBe(true)
    expect(
      told.some((bytes) => Buffer.from(bytes).includes(Buffer.from(secret.subarray(0, 64)))),
    ).toBe(false)
  }
  // Chunks that share a frame come whole, checked.
  const carried = chunks.filter((chunk) => 'bytes' in chunk)
  expect(carried.length).toBeGreaterThan(0)
  for (const { id, bytes } of carried) expect(engine.chunkId(hash(bytes))).toBe(id)
})
