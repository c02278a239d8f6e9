import { expect, test, vi } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { CuttingThreads } from '../../src/main/cutting.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import type { Cutting, CutWindow } from '../../src/objects/guests.ts'
import { bytesOf, collect, expectSame, hash, noise, p, pieces, storeKey } from './fixture.ts'

function engineWith(cutting: Cutting | undefined): ObjectEngine {
  const { compress, decompress } = zstdCompute
  const compute = { compress, decompress, ...(cutting ? { cutting } : {}) }
  const blob = new MemoryBlobStore()
  return new ObjectEngine({ blob, hash, storeKey, random: seededRandom(5), compute })
}

/** How many stretches were given to it. */
function counting(cutting: Cutting): Cutting & { cuts: number } {
  return {
    cuts: 0,
    windows() {
      const [a, b] = cutting.windows() ?? []
      const counted = (window: NonNullable<typeof a>): typeof window => ({
        ...window,
        cut: (stretch) => {
          this.cuts++
          return window.cut(stretch)
        },
      })
      return a && b && [counted(a), counted(b)]
    },
  }
}

/** Around where another thread takes over, where a window is full, and where one is just begun. */
const MIB = 1024 * 1024
const SIZES = [2 * MIB, 3 * MIB, 4.5 * MIB + 1, 9 * MIB - 3]

test('a content has the same form whoever cuts it, in whatever pieces it comes', async () => {
  const cutting = counting(new CuttingThreads())
  for (const [i, size] of SIZES.entries()) {
    // Noise has its cuts anywhere, zeros none but the largest.
    const bytes = i === 1 ? new Uint8Array(size) : noise(i, size)
    const digests = new Set<string>()
    for (const [engine, sizes] of [
      [engineWith(undefined), [MIB]],
      [engineWith(cutting), [MIB]],
      [engineWith(cutting), [1, 65_536, 3, 700_001]],
    ] as const) {
      const writer = engine.writer(null)
      const { digest } = await writer.put(p('big'), pieces(bytes, sizes))
      const { root } = await writer.finishOnto(null)
      expectSame(await bytesOf(engine.read(root, p('big'))), bytes)
      digests.add(digest)
    }
    expect(digests.size).toBe(1)
  }
  expect(cutting.cuts).toBeGreaterThan(2 * SIZES.length)
})

test('who breaks off gives the windows back, and who finds none cuts by itself', async () => {
  const cutting = counting(new CuttingThreads())
  const engine = engineWith(cutting)
  const bytes = noise(9, 4 * MIB)
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield* pieces(bytes, [MIB])
    throw new Error('the line went dead')
  }
  for (let i = 0; i < 8; i++) {
    const writer = engine.writer(null)
    await expect(writer.put(p('big'), broken())).rejects.toThrow('the line went dead')
    writer.abandon()
  }
  // A thread that is still at it has them until it has done.
  const taken: CutWindow[] = []
  await vi.waitFor(() => {
    for (let two = cutting.windows(); two; two = cutting.windows()) taken.push(...two)
    expect(taken.length).toBe(8)
  })
  const before = cutting.cuts
  const writer = engine.writer(null)
  await writer.put(p('big'), pieces(bytes, [MIB]))
  const { root } = await writer.finishOnto(null)
  expect(cutting.cuts).toBe(before)
  expect((await collect(engine.locate(root, p('big')))).length).toBeGreaterThan(20)
  for (const window of taken) window.free()
  expect(cutting.windows()).toBeDefined()
})
