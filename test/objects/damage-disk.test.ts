// As damage.test.ts, with files: what verify and readers see through the real store of a disk.

import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { equalBytes } from '../../src/base/bytes.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { DiskBlobStore } from '../../src/blob/adapters/disk.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import type { NamedRoot } from '../../src/objects/upkeep/verify.ts'
import { damage, foundIn, richHistory } from './damage.ts'
import { bytesOf, collect, hash, storeKey } from './fixture.ts'

const DAMAGES = 100

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-damage-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function reopened(seed: number): Promise<ObjectEngine> {
  const blob = await DiskBlobStore.open(folder)
  return new ObjectEngine({
    blob,
    hash,
    storeKey,
    random: seededRandom(seed),
    compute: zstdCompute,
  })
}

test('files that were flipped, cut, removed, zeroed or swapped are found, and nothing else is served', async () => {
  const engine = await reopened(1)
  const roots = await richHistory(engine)
  const good = new Map<string, Uint8Array>()
  const { name, ref } = roots[5] as NamedRoot
  for await (const file of engine.walk(ref))
    good.set(file.path, await bytesOf(engine.readEntry(file)))
  const store = await DiskBlobStore.open(folder)
  const keys = (await collect(store.list(''))).map(({ key }) => key)
  const fileOf = (key: string): string => join(folder, 'objects', key)
  const random = seededRandom(43)
  let corrupt = 0
  for (let i = 0; i < DAMAGES; i++) {
    const done = await damage(random, await DiskBlobStore.open(folder), keys)
    const before = await Promise.all(done.keys.map((key) => readFile(fileOf(key))))
    for (const [k, key] of done.keys.entries()) {
      const now = done.bytes[k]
      if (!now) await rm(fileOf(key))
      else if (done.kind === 'truncate') await truncate(fileOf(key), now.length)
      else await writeFile(fileOf(key), now)
    }
    const given = async function* (): AsyncGenerator<NamedRoot> {
      yield* roots
    }
    const findings = await collect((await reopened(2)).verify({ roots: given }))
    expect(foundIn(findings).toSorted(), `${i}: ${done.kind}`).toEqual(done.keys.toSorted())
    const reader = await reopened(3)
    try {
      for await (const file of reader.walk(ref)) {
        const expected = good.get(file.path) as Uint8Array
        const bytes = await bytesOf(reader.readEntry(file))
        if (!equalBytes(bytes, expected)) throw new Error(`other bytes of ${name}:/${file.path}`)
      }
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
      corrupt++
    }
    for (const [k, key] of done.keys.entries())
      await writeFile(fileOf(key), before[k] as Uint8Array)
  }
  expect(corrupt).toBeGreaterThan(DAMAGES / 10)
}, 300_000)
