import { concat, utf8 } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { openHash, zstdCompute } from '../../src/main/compute.ts'
import type { Path } from '../../src/model/path.ts'
import { parsePath } from '../../src/model/path.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { cutSize } from '../../src/objects/files/chunker.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'

export const hash = await openHash()
export const storeKey = new Uint8Array(32).fill(7)
export const p = (text: string): Path => parsePath(text)

export function makeEngine(
  options: {
    seed?: number
    blob?: MemoryBlobStore
    cacheBytes?: number
    writerBytes?: number
    raw?: boolean
  } = {},
): { engine: ObjectEngine; blob: MemoryBlobStore } {
  const blob = options.blob ?? new MemoryBlobStore()
  const engine = new ObjectEngine({
    blob,
    hash,
    storeKey,
    random: seededRandom(options.seed ?? 1),
    ...(options.cacheBytes === undefined ? {} : { cacheBytes: options.cacheBytes }),
    ...(options.writerBytes === undefined ? {} : { writerBytes: options.writerBytes }),
    ...(options.raw ? {} : { compute: zstdCompute }),
  })
  return { engine, blob }
}

/** Bytes that do not compress. */
export function noise(seed: number, sizeBytes: number): Uint8Array {
  const random = seededRandom(seed)
  const bytes = new Uint8Array(sizeBytes)
  const words = new Uint32Array(Math.ceil(sizeBytes / 4))
  for (let i = 0; i < words.length; i++) words[i] = random.next() * 0x1_0000_0000
  bytes.set(new Uint8Array(words.buffer).subarray(0, sizeBytes))
  return bytes
}

/** Text that compresses. */
export function prose(seed: number, sizeBytes: number): Uint8Array {
  const random = seededRandom(seed)
  let text = ''
  while (text.length < sizeBytes) text += `line ${Math.floor(random.next() * 1000)} of many\n`
  return utf8(text.slice(0, sizeBytes))
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return concat([...(await collect(stream)), new Uint8Array(0)])
}

/** As `toEqual`, of bytes however many. */
export function expectSame(found: Uint8Array, expected: Uint8Array | undefined): void {
  if (expected && Buffer.compare(found, expected) === 0) return
  throw new Error(`${found.length} bytes are not the ${expected?.length ?? 0} expected`)
}

/** Every file of a tree with its content. */
export async function contents(
  engine: ObjectEngine,
  root: TreeRef | null,
): Promise<Map<string, Uint8Array>> {
  const all = new Map<string, Uint8Array>()
  for await (const file of engine.walk(root))
    all.set(file.path, await bytesOf(engine.readEntry(file)))
  return all
}

export async function commit(
  engine: ObjectEngine,
  base: TreeRef | null,
  files: Record<string, Uint8Array | string | null>,
): Promise<TreeRef> {
  const writer = engine.writer(base)
  for (const [path, content] of Object.entries(files)) {
    if (content === null) await writer.delete(p(path))
    else await writer.put(p(path), typeof content === 'string' ? utf8(content) : content)
  }
  return (await writer.finishOnto(base)).root
}

export async function* pieces(
  bytes: Uint8Array,
  sizes: readonly number[],
): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number
    yield bytes.subarray(at, at + size)
    at += size
  }
}

/** Bytes that are cut every 16 KiB into 64 different chunks, in no order: a long list in few bytes. */
export function blocksCutEach16KiB(count: number): Uint8Array {
  const block = 16 * 1024
  const tail = cuttingBytes()
  const bytes = new Uint8Array(count * block)
  const random = seededRandom(11)
  for (let i = 0; i < count; i++) {
    bytes[i * block] = Math.floor(random.next() * 64)
    bytes.set(tail, (i + 1) * block - tail.length)
  }
  return bytes
}

/** Behind these a chunk ends wherever they stand, once it may. */
export function cuttingBytes(): Uint8Array {
  const sample = noise(1, 4_000_000)
  let from = 0
  for (;;) {
    const size = cutSize(sample, from, sample.length)
    // Below 64 KiB by the strict rule, which holds above as well.
    if (size < 64 * 1024) return sample.subarray(from + size - 32, from + size)
    from += size
  }
}
