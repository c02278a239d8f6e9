// What an upload promises over time: to collection, to the clock, and to whoever finishes it after a crash.

import { afterEach, expect, test, vi } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { Id } from '../../src/model/id.ts'
import { parseFilePath } from '../../src/model/path.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import type { Tables } from '../../src/tables/tables.ts'
import type { PartAbout } from '../../src/versions/upload-rows.ts'
import type { Request } from '../../src/versions/versions.ts'
import { memoryCore } from './core.ts'

const DAY_MS = 24 * 3_600_000
const project = 'default'
const branch = { repo: 'a', branch: 'master' }

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** Time that can be moved on. */
class Ahead implements Clock {
  byMs = 0
  nowMs(): number {
    return systemClock.nowMs() + this.byMs
  }
  monotonicMs(): number {
    return systemClock.monotonicMs()
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }
}

async function open(tables: Tables = new MemoryTables()) {
  const clock = new Ahead()
  const core = await memoryCore(1, { tables, clock })
  const stop = new AbortController()
  const writing = core.writeLog(stop.signal)
  closing.push(async () => {
    stop.abort()
    await writing
    await core.close()
  })
  const request = (): Request => ({ id: core.ids(), principal: 'test' })
  const { versions } = core
  await versions.propose(project, [{ op: 'repo.create', name: 'a' }], request())
  const { uploads } = versions
  const begin = async (): Promise<Id> =>
    (await uploads.open(project, branch, { source: 's', message: '' }, request())).id
  const add = (upload: Id, part: number, path: string, during = async () => {}) => {
    const bytes = utf8(`${path} ${'x'.repeat(1000)}`)
    const about: PartAbout = {
      kind: 'segment',
      path,
      offset: 0,
      totalBytes: bytes.length,
      files: 1,
      sizeBytes: bytes.length,
      sha256: path,
      mark: '',
    }
    return uploads.add(project, branch, upload, part, {
      write: async (writer) => {
        await writer.put(parseFilePath(path), bytes)
        await during()
        return about
      },
      read: () => Promise.resolve(about),
    })
  }
  const roots = (): Promise<unknown[]> => Array.fromAsync(uploads.roots(project))
  return { clock, versions, uploads, request, begin, add, roots }
}

test('what is not touched for seven days has ended: it keeps nothing, and can be no more', async () => {
  const { clock, uploads, begin, add, roots, request } = await open()
  const left = await begin()
  await add(left, 0, 'left')
  clock.byMs = 6 * DAY_MS
  const touched = await begin()
  await add(touched, 0, 'touched')
  expect(await roots()).toHaveLength(2)
  clock.byMs = 8 * DAY_MS
  expect(await roots()).toHaveLength(1)
  const gone = { code: 'NOT_FOUND_UPLOAD' }
  await expect(add(left, 1, 'late')).rejects.toMatchObject(gone)
  await expect(uploads.finish(project, branch, left, 1, request())).rejects.toMatchObject(gone)
  const { finished } = await uploads.finish(project, branch, touched, 1, request())
  expect(finished).toBe(true)
  expect(await roots()).toEqual([])
})

test('a part that comes after its upload expired, or was given up, is refused', async () => {
  const { clock, uploads, begin, add, roots } = await open()
  const expired = await begin()
  const during = async (): Promise<void> => {
    clock.byMs = 8 * DAY_MS
    await roots()
  }
  await expect(add(expired, 0, 'x', during)).rejects.toMatchObject({ code: 'NOT_FOUND_UPLOAD' })
  const dropped = await begin()
  await expect(
    add(dropped, 0, 'x', () => uploads.drop(project, branch, dropped)),
  ).rejects.toMatchObject({ code: 'NOT_FOUND_UPLOAD' })
  expect(await roots()).toEqual([])
})

test('sessions that were closed add nothing before they have looked again', async () => {
  const { versions, uploads, begin, add, request } = await open()
  const upload = await begin()
  const adopt = vi.spyOn(versions.sessions, 'adopt')
  await add(upload, 0, 'x')
  expect(adopt).not.toHaveBeenCalled()
  await add(upload, 1, 'y', async () => {
    await versions.closeSessions(project, request())
  })
  expect(adopt).toHaveBeenCalledOnce()
  // What it wrote is gone: then it is not taken, and may be sent again.
  adopt.mockResolvedValueOnce(undefined)
  const lost = add(upload, 2, 'z', async () => {
    await versions.closeSessions(project, request())
  })
  await expect(lost).rejects.toMatchObject({ code: 'SESSION_CLOSED' })
  await add(upload, 2, 'z')
  expect((await uploads.finish(project, branch, upload, 3, request())).finished).toBe(true)
})

test('finished by many at once, and again after a crash in the middle, it is one commit', async () => {
  const { versions, uploads, begin, add, request } = await open()
  const upload = await begin()
  await add(upload, 0, 'x')
  await add(upload, 1, 'y')
  // The first has written down its request, and is gone before it proposed anything.
  const { merge } = versions.objects
  let isDown = true
  const objects = versions.objects as { merge: typeof merge }
  objects.merge = (...args) => {
    if (isDown) throw new Error('the process ended')
    return merge.apply(versions.objects, args)
  }
  await expect(uploads.finish(project, branch, upload, 2, request())).rejects.toThrow('ended')
  await expect(uploads.drop(project, branch, upload)).rejects.toMatchObject({ code: 'NOT_OPEN' })
  isDown = false
  const made = await Promise.all(
    [1, 2, 3].map(() => uploads.finish(project, branch, upload, 2, request())),
  )
  expect(new Set(made.map(({ commit }) => commit)).size).toBe(1)
  const commits = await Array.fromAsync(versions.commits(project, 'a'))
  expect(commits.map(({ id }) => id)).toEqual([made[0]?.commit])
  expect(commits[0]?.stats?.files).toBe(2)
})

test('a finish that is refused for good leaves the upload open for another', async () => {
  const { versions, uploads, begin, add, request } = await open()
  const upload = await begin()
  await add(upload, 0, 'x')
  await versions.commitFiles(
    project,
    branch,
    async (writer) => {
      await writer.put(parseFilePath('x/in'), utf8('a directory now'))
    },
    request(),
  )
  const finish = () => uploads.finish(project, branch, upload, 1, request())
  await expect(finish()).rejects.toMatchObject({ code: 'PATH_CONFLICT' })
  await versions.commitFiles(
    project,
    branch,
    async (writer) => writer.delete(parseFilePath('x')),
    request(),
  )
  expect((await finish()).finished).toBe(true)
})
