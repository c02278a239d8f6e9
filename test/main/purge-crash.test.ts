// A purge that dies at each of its durable steps, just before and just after it, and is taken up by
// whoever comes next.

import { expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { BlobStore } from '../../src/blob/blob.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { openHash, zstdCompute } from '../../src/main/compute.ts'
import { openCore } from '../../src/main/core.ts'
import type { Core } from '../../src/main/core.ts'
import type { Commit } from '../../src/model/entities.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import { parsePath } from '../../src/model/path.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import type { Tables } from '../../src/tables/tables.ts'
import type { PurgeStep } from '../../src/versions/purge-scope.ts'
import { rawStore } from '../objects/raw.ts'

const WRITES = new Set(['put', 'remove', 'apply', 'writeIf', 'delete'])
const SECRET = 'what somebody wants to be forgotten, '.repeat(40)
const OTHER = 'what stays as it is, '.repeat(40)

/** Leases of the dead run out soon. */
const FASTER = 100
const clock: Clock = {
  nowMs: () => 1_700_000_000_000 + systemClock.monotonicMs() * FASTER,
  monotonicMs: () => systemClock.monotonicMs() * FASTER,
  sleep: (ms, signal) => systemClock.sleep(ms / FASTER, signal),
}

/** Counts durable steps; at one of them the process is no more: nothing it asks for is ever answered. */
class Fuse {
  steps = 0
  at = Infinity
  after = false
  readonly blown: Promise<void>
  #blow: () => void

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.blown = promise
    this.#blow = resolve
  }

  guard<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name, target)
        if (typeof method !== 'function') return method
        if (!WRITES.has(String(name))) return method.bind(target) as unknown
        return async (...args: unknown[]) => {
          if (this.steps > this.at) return this.#never()
          const step = this.steps++
          if (step === this.at && !this.after) return this.#never()
          const answer: unknown = await Reflect.apply(method, target, args)
          return step === this.at ? this.#never() : answer
        }
      },
    })
  }

  #never(): Promise<never> {
    this.#blow()
    return new Promise(() => {})
  }
}

interface Disk {
  readonly tables: Tables
  readonly blob: BlobStore
}

async function start(
  { tables, blob }: Disk,
  seed: number,
): Promise<{ readonly core: Core; close(): Promise<void> }> {
  const core = await openCore({
    tables,
    blob,
    hash: await openHash(),
    compute: zstdCompute,
    storeKey: new Uint8Array(32).fill(5),
    bus: new MemoryBus({ clock }),
    clock,
    random: seededRandom(seed),
  })
  const stop = new AbortController()
  const writing = core.writeLog(stop.signal)
  return {
    core,
    close: async () => {
      stop.abort()
      await writing
      await core.close()
    },
  }
}

async function fill({ versions, ids }: Core): Promise<Commit[]> {
  const request = () => ({ id: ids(), principal: 'me' })
  await versions.propose(P, [{ op: 'repo.create', name: 'r' }], request())
  const commits: Commit[] = []
  const commit = async (files: Record<string, string | null>): Promise<void> => {
    const write = (writer: Parameters<Parameters<typeof versions.commitFiles>[2]>[0]) =>
      Object.entries(files).reduce(
        (before, [path, text]) =>
          before.then(async () => {
            if (text === null) await writer.delete(parsePath(path))
            else await writer.put(parsePath(path), utf8(text))
          }),
        Promise.resolve(),
      )
    commits.push(await versions.commitFiles(P, { repo: 'r', branch: 'master' }, write, request()))
  }
  await commit({ a: SECRET, b: OTHER, 'd/e': 'short and secret' })
  await commit({ a: `${SECRET} again`, c: `${OTHER} more` })
  await commit({ a: null, d: null })
  return commits
}

async function purge(
  core: Core,
  seen: (step: PurgeStep) => Promise<void> = () => Promise.resolve(),
): Promise<PurgeStep | undefined> {
  const request = { id: core.ids(), principal: 'me' }
  const paths = ['a', 'd'].map(parsePath)
  const how = { project: P, repo: 'r', paths, plan: false, alsoCopies: false, waitMs: 0, request }
  const signal = new AbortController().signal
  let last: PurgeStep | undefined
  for await (const step of core.purge(how, signal)) {
    last = step
    await seen(step)
  }
  return last
}

async function read({ versions }: Core, { root }: Commit): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for await (const { path } of versions.objects.walk(root))
    files[path] = Buffer.concat(await Array.fromAsync(versions.objects.read(root, path))).toString()
  return files
}

test('a purge that dies anywhere has hidden all of it or nothing, and comes to its end', async () => {
  for (let at = 0; ; at++)
    for (const after of [false, true]) {
      const disk = { tables: new MemoryTables(), blob: new MemoryBlobStore() }
      const first = await start(disk, 1)
      const commits = await fill(first.core)
      await first.close()

      const dying = new Fuse()
      const second = await start(
        { tables: dying.guard(disk.tables), blob: dying.guard(disk.blob) },
        2,
      )
      dying.at = dying.steps + at
      dying.after = after
      const ended = await Promise.race([purge(second.core), dying.blown.then(() => 'died')])

      const third = await start(disk, 3)
      const whole = [
        { a: SECRET, b: OTHER, 'd/e': 'short and secret' },
        { a: `${SECRET} again`, b: OTHER, c: `${OTHER} more`, 'd/e': 'short and secret' },
        { b: OTHER, c: `${OTHER} more` },
      ]
      const purged = [
        { b: OTHER },
        { b: OTHER, c: `${OTHER} more` },
        { b: OTHER, c: `${OTHER} more` },
      ]
      const now = await Promise.all(commits.map((commit) => read(third.core, commit)))
      expect([whole, purged]).toContainEqual(now)
      // Another purge brings it to its end first, and may find nothing to do then.
      const what = await purge(third.core).catch((error: unknown) => error)
      if (what instanceof Error) expect(what).toMatchObject({ code: 'NOT_FOUND_PATH' })
      expect(await Promise.all(commits.map((commit) => read(third.core, commit)))).toEqual(purged)
      for (const text of ['somebody wants', 'short and secret'])
        expect((await rawStore(disk.blob)).includes(text)).toBe(false)
      await third.close()
      if (ended !== 'died') return
    }
})

test("what is put again while it is purged is told, and is in nobody's way", async () => {
  const disk = { tables: new MemoryTables(), blob: new MemoryBlobStore() }
  const { core, close } = await start(disk, 1)
  await fill(core)
  const master = { repo: 'r', branch: 'master' }
  const commit = (text: string | null): Promise<Commit> =>
    core.versions.commitFiles(
      P,
      master,
      (writer) =>
        text === null
          ? writer.delete(parsePath('a'))
          : writer.put(parsePath('a'), utf8(text)).then(() => {}),
      { id: core.ids(), principal: 'me' },
    )
  const again = purge(core, async (step) => {
    if (step.phase === 'collecting' && step.step.phase === 'waiting') await commit(SECRET)
  })
  await expect(again).rejects.toMatchObject({ code: 'STALE_STATE' })
  await commit(null)
  expect(await purge(core)).toMatchObject({ phase: 'done' })
  expect((await rawStore(disk.blob)).includes('somebody wants')).toBe(false)
  await close()
})
