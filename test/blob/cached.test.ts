import { execFileSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, expect, test } from 'vitest'
import { deferred } from '../../src/base/async.ts'
import { seededRandom } from '../../src/base/random.ts'
import { CachedBlobStore, BLOCK_BYTES } from '../../src/blob/adapters/cached.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import { blobContract } from '../contract/blob.ts'
import {
  bytesOf,
  collect,
  commit,
  hash,
  makeEngine,
  noise,
  p,
  storeKey,
} from '../objects/fixture.ts'

const root = await mkdtemp(join(tmpdir(), 'varve-cached-'))
let folders = 0
const freshFolder = (): string => join(root, String(folders++))
afterAll(() => rm(root, { recursive: true, force: true }))

const opened: CachedBlobStore[] = []
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
})

async function open(
  store: MemoryBlobStore,
  folder: string,
  budgetBytes = 2 ** 30,
): Promise<CachedBlobStore> {
  const cached = await CachedBlobStore.open(store, { folder, budgetBytes })
  opened.push(cached)
  return cached
}

blobContract('cached', () => open(new MemoryBlobStore(), freshFolder()))

/** Says what was asked of it; `hold` keeps answers back. */
class Far extends MemoryBlobStore {
  readonly asked: string[] = []
  hold: Promise<void> | undefined

  override async get(...args: Parameters<MemoryBlobStore['get']>): Promise<Uint8Array | undefined> {
    const [key, range] = args
    this.asked.push(range ? `${key} ${range.offset}+${range.length}` : key)
    await this.hold
    return super.get(...args)
  }
}

async function far(objects: Record<string, Uint8Array>): Promise<Far> {
  const store = new Far()
  await store.put(Object.entries(objects).map(([key, bytes]) => ({ key, bytes })))
  return store
}

/** "toEqual" looks at large arrays element by element. */
function expectSame(found: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  expect(found?.length).toBe(expected?.length)
  if (found && expected) expect(Buffer.compare(found, expected)).toBe(0)
}

const KIB = 1024
const bytes = noise(1, 5 * BLOCK_BYTES + 1000)

async function sizeOf(folder: string): Promise<number> {
  let total = 0
  for (const name of await readdir(folder))
    total += Math.ceil((await stat(join(folder, name))).size / 4096) * 4096
  return total
}

test('any ranges, again and again, are what the store has', async () => {
  const store = await far({ a: bytes, b: noise(2, BLOCK_BYTES), c: new Uint8Array() })
  // Small enough that much is thrown out.
  const cached = await open(store, freshFolder(), 4 * BLOCK_BYTES + 20 * KIB)
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          key: fc.constantFrom('a', 'a', 'b', 'c', 'absent'),
          offset: fc.nat(6 * BLOCK_BYTES),
          length: fc.oneof(fc.nat(100), fc.nat(3 * BLOCK_BYTES)),
        }),
        { maxLength: 8 },
      ),
      async (asked) => {
        const found = await Promise.all(asked.map(({ key, ...range }) => cached.get(key, range)))
        const expected = await Promise.all(
          asked.map(({ key, ...range }) => MemoryBlobStore.prototype.get.call(store, key, range)),
        )
        for (const [i, one] of found.entries()) expectSame(one, expected[i])
        // What is handed out is the caller's.
        for (const one of found) one?.fill(0)
      },
    ),
    { numRuns: 150 },
  )
})

test('a block is fetched once, with its missing neighbours in one request; a restart keeps it', async () => {
  const store = await far({ a: bytes })
  const folder = freshFolder()
  const cached = await open(store, folder)
  await cached.get('a', { offset: 10, length: 4 * KIB })
  await cached.get('a', { offset: 100 * KIB, length: 64 * KIB })
  await cached.get('a', { offset: 0, length: 4 * BLOCK_BYTES })
  expect(store.asked).toEqual([`a 0+${BLOCK_BYTES}`, `a ${BLOCK_BYTES}+${3 * BLOCK_BYTES}`])
  await cached.close()
  const again = await open(store, folder)
  const found = await again.get('a', { offset: 5, length: 4 * BLOCK_BYTES - 5 })
  expectSame(found, bytes.subarray(5, 4 * BLOCK_BYTES))
  expect(store.asked.length).toBe(2)
})

test('who reads the same at the same time fetches it once', async () => {
  const store = await far({ a: bytes })
  const cached = await open(store, freshFolder())
  const { promise, resolve } = deferred<void>()
  store.hold = promise
  const reads = Array.from({ length: 50 }, (_, i) =>
    cached.get('a', { offset: i * 10, length: BLOCK_BYTES }),
  )
  resolve()
  for (const [i, found] of (await Promise.all(reads)).entries())
    expectSame(found, bytes.subarray(i * 10, i * 10 + BLOCK_BYTES))
  expect(store.asked).toEqual([`a 0+${BLOCK_BYTES}`, `a ${BLOCK_BYTES}+${BLOCK_BYTES}`])
})

test('a fetch that fails is the failure of who waits for it, and is tried again', async () => {
  const store = await far({ a: bytes })
  const cached = await open(store, freshFolder())
  store.hold = Promise.reject(new Error('away'))
  store.hold.catch(() => {})
  const range = { offset: 0, length: 10 }
  const reads = await Promise.allSettled([cached.get('a', range), cached.get('a', range)])
  expect(reads.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  store.hold = undefined
  expect(await cached.get('a', range)).toEqual(bytes.subarray(0, 10))
})

test('the folder stays within its budget, and what was used last stays', async () => {
  const objects = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`packs/${i}`, noise(i, BLOCK_BYTES)]),
  )
  const store = await far(objects)
  const folder = freshFolder()
  const budgetBytes = 10 * (BLOCK_BYTES + 4096)
  const cached = await open(store, folder, budgetBytes)
  const range = { offset: 0, length: 10 }
  for (const key of Object.keys(objects)) {
    await cached.get(key, range)
    await cached.get('packs/0', range)
    expect(await sizeOf(folder)).toBeLessThanOrEqual(budgetBytes)
  }
  await cached.close()
  expect((await readdir(folder)).length).toBe(10)
  const before = store.asked.length
  expect(before).toBe(30)
  for (const i of [0, 29, 28, 25]) await cached.get(`packs/${i}`, range)
  expect(store.asked.length).toBe(before)
  await cached.get('packs/1', range)
  expect(store.asked.length).toBe(before + 1)
  await cached.close()
  // A smaller budget at the next start holds at once.
  await open(store, folder, 3 * (BLOCK_BYTES + 4096))
  expect((await readdir(folder)).length).toBe(3)
})

test('a damaged, cut, swapped or missing file is never served: it is fetched again', async () => {
  const store = await far({ a: bytes })
  const folder = freshFolder()
  const whole = { offset: 0, length: bytes.length }
  const cached = await open(store, folder)
  await cached.get('a', whole)
  await cached.close()
  const names = (await readdir(folder)).toSorted()
  expect(names.length).toBe(6)
  const file = (i: number): string => join(folder, names[i] as string)
  const flipped = await readFile(file(0))
  flipped[1000] = (flipped[1000] as number) ^ 1
  await writeFile(file(0), flipped)
  await truncate(file(1), 5000)
  await truncate(file(2), 0)
  const [three, four] = [await readFile(file(3)), await readFile(file(4))]
  await writeFile(file(3), four)
  await writeFile(file(4), three)
  await rm(file(5))
  await writeFile(join(folder, 'not-ours'), 'x')
  const asked = store.asked.length
  expectSame(await cached.get('a', whole), bytes)
  expect(store.asked.length).toBe(asked + 6)
  await cached.close()
  const again = await open(store, folder)
  expectSame(await again.get('a', whole), bytes)
  expect(store.asked.length).toBe(asked + 6)
  expect(await readFile(join(folder, 'not-ours'), 'utf8')).toBe('x')
})

test('what is deleted here is gone from the folder too', async () => {
  const store = await far({ a: bytes, b: bytes })
  const folder = freshFolder()
  const cached = await open(store, folder)
  await cached.get('a', { offset: 0, length: 2 * BLOCK_BYTES })
  await cached.get('b', { offset: 0, length: 1 })
  await cached.delete(['a'])
  await cached.close()
  expect((await readdir(folder)).length).toBe(1)
  expect(await cached.get('a', { offset: 0, length: 1 })).toBeUndefined()
})

/** A store whose every object has one wrong byte somewhere, while it is told to. */
class Lying extends Far {
  lies = false

  override async get(...args: Parameters<MemoryBlobStore['get']>): Promise<Uint8Array | undefined> {
    const bytes = await super.get(...args)
    if (this.lies) bytes?.forEach((byte, i) => i % 50 === 0 && (bytes[i] = byte ^ 4))
    return bytes
  }
}

test('what was wrong on its way here is not kept; what became wrong there is found all the same', async () => {
  const store = new Lying()
  const content = noise(3, 3_000_000)
  const root = await commit(makeEngine({ blob: store }).engine, null, { file: content })
  const cached = await open(store, freshFolder())
  const engine = (): ObjectEngine =>
    new ObjectEngine({
      blob: cached,
      hash,
      storeKey,
      random: seededRandom(3),
      compute: zstdCompute,
    })
  const reading = async (from: ObjectEngine): Promise<void> =>
    expectSame(await bytesOf(from.read(root, p('file'))), content)

  store.lies = true
  const hasty = engine()
  await expect(reading(hasty)).rejects.toMatchObject({ code: 'CORRUPT' })
  store.lies = false
  // Each failure takes what was wrong out of the cache, a pack at a time.
  for (let tries = 0; ; tries++)
    try {
      await reading(hasty)
      break
    } catch (error) {
      expect(error).toMatchObject({ code: 'CORRUPT' })
      expect(tries).toBeLessThan(3)
    }

  // Now all of it is kept here, and right.
  store.lies = true
  await reading(engine())
  const findings = await collect(engine().verify({ roots: async function* () {} }))
  expect(findings.some(({ kind }) => kind === 'pack')).toBe(true)
})

async function warnings(during: () => Promise<void>): Promise<unknown[]> {
  const heard: unknown[] = []
  const hear = (message: unknown): void => void heard.push(message)
  subscribe('varve:cache:idle', hear)
  try {
    await during()
  } finally {
    unsubscribe('varve:cache:idle', hear)
  }
  return heard
}

test('a folder that cannot be used is said once, and every read goes on without', async () => {
  const store = await far({ a: bytes })
  const inTheWay = freshFolder()
  await mkdir(root, { recursive: true })
  await writeFile(inTheWay, 'a file')
  const heard = await warnings(async () => {
    const cached = await open(store, join(inTheWay, 'cache'))
    for (let i = 0; i < 4; i++)
      expectSame(await cached.get('a', { offset: 0, length: bytes.length }), bytes)
    await cached.close()
  })
  expect(heard).toMatchObject([{ folder: join(inTheWay, 'cache') }])
})

// A mount of its own needs root; CI has it.
const canMount = process.getuid?.() === 0 || process.env['CI'] !== undefined
test.skipIf(!canMount)('a full disk is said once, and every read goes on without', async () => {
  const folder = freshFolder()
  await mkdir(folder, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder])
  try {
    const store = await far({ a: bytes })
    const heard = await warnings(async () => {
      const cached = await open(store, folder)
      for (let i = 0; i < 4; i++)
        expectSame(await cached.get('a', { offset: 0, length: bytes.length }), bytes)
      await cached.close()
    })
    expect(heard).toMatchObject([{ folder, error: { code: 'ENOSPC' } }])
    // What was kept before is served, and nothing half written.
    const asked = store.asked.length
    const again = await open(store, folder)
    expectSame(await again.get('a', { offset: 0, length: bytes.length }), bytes)
    expect(store.asked.length).toBeGreaterThan(asked)
    await again.close()
  } finally {
    execFileSync('umount', [folder])
  }
})
