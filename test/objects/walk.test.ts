// Reading trees on a store that is far away: what is asked for at the same time takes as long as one.

import { setImmediate as turn } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import { READ_AHEAD } from '../../src/objects/trees/ahead.ts'
import { collect, commit, makeEngine, noise, p } from './fixture.ts'

const DIRS = 80
const PER_DIR = 300
const blob = new MemoryBlobStore()
let root: TreeRef
let changed: TreeRef

beforeAll(async () => {
  // Content comes first in a pack: no directory lies so near its beginning that it is fetched with others.
  const files: Record<string, string | Uint8Array> = { '0': noise(1, 40_000) }
  for (let i = 0; i < DIRS * PER_DIR; i++) {
    const name = String(i).padStart(6, '0')
    files[`dirs/d${i % DIRS}/f${name}`] = `${i}`.padEnd(40)
    files[`flat/f${name}`] = `${i}`.padEnd(40)
  }
  const { engine } = makeEngine({ blob, raw: true })
  root = await commit(engine, null, files)
  const changes: Record<string, string | Uint8Array> = { '1': noise(2, 40_000) }
  for (let i = 0; i < DIRS; i++) changes[`dirs/d${i}/f${String(i).padStart(6, '0')}`] = 'changed'
  changed = await commit(engine, root, changes)
}, 60_000)

/** Of an engine just opened: reads that are under way go on together, and only when nothing else is to do. */
async function waves<T>(
  ask: (engine: ObjectEngine) => AsyncIterable<T>,
): Promise<{ found: number; waves: number; most: number; gets: number }> {
  const { engine } = makeEngine({ blob, seed: 2, raw: true })
  const waiting: (() => void)[] = []
  const get = blob.get.bind(blob)
  blob.get = async (key, range) => {
    await new Promise<void>((resolve) => waiting.push(resolve))
    return get(key, range)
  }
  const seen = { found: -1, waves: 0, most: 0, gets: 0 }
  try {
    const asking = collect(ask(engine)).then((all) => (seen.found = all.length))
    while (seen.found < 0) {
      await turn()
      const wave = waiting.splice(0)
      if (wave.length === 0) continue
      seen.waves++
      seen.gets += wave.length
      seen.most = Math.max(seen.most, wave.length)
      for (const go of wave) go()
    }
    await asking
  } finally {
    blob.get = get
  }
  return seen
}

test('a walk reads directories ahead, a bounded number at a time, and each once', async () => {
  const walked = await waves((engine) => engine.walk(root, p('dirs')))
  expect(walked.found).toBe(DIRS * PER_DIR)
  expect(walked.gets).toBeGreaterThan(DIRS)
  expect(walked.gets).toBeLessThan(DIRS + 10)
  expect(walked.waves).toBeLessThan(15)
  expect(walked.most).toBeLessThanOrEqual(READ_AHEAD + 1)
})

test('so are the leaves of a large directory; a page of it reads little more than it shows', async () => {
  const walked = await waves((engine) => engine.walk(root, p('flat')))
  expect(walked.found).toBe(DIRS * PER_DIR)
  expect(walked.waves).toBeLessThan(walked.gets / 3)
  const listed = await waves((engine) => engine.list(root, p('flat')))
  expect(listed).toEqual(walked)
  const page = await waves((engine) => engine.list(root, p('flat'), { after: 'f0100', limit: 100 }))
  expect(page.found).toBe(100)
  expect(page.gets).toBeLessThanOrEqual(6)
})

test('a comparison reads ahead what differs, and nothing else', async () => {
  const compared = await waves((engine) => engine.diff(root, changed))
  expect(compared.found).toBe(DIRS + 1)
  expect(compared.gets).toBeLessThan(2 * DIRS + 10)
  expect(compared.waves).toBeLessThan(30)
  expect(compared.most).toBeLessThanOrEqual(READ_AHEAD + 1)
})

test('who stops early ends the walk', async () => {
  const { engine } = makeEngine({ blob, seed: 3, raw: true })
  const files = engine.walk(root)[Symbol.asyncIterator]()
  expect((await files.next()).value?.path).toBe('0')
  await files.return?.()
  expect(await files.next()).toEqual({ done: true, value: undefined })
})
