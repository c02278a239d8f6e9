import { afterAll, beforeAll, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { GcView } from '../../src/api/gc.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import { parsePath } from '../../src/model/path.ts'
import { textOf, makeWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

const branch = (repo: string) => ({ repo, branch: 'master' })
const text = (n: number): string => `text ${n} `.repeat(200)

async function repoOf(repo: string): Promise<void> {
  const { versions, ids } = world
  await versions.propose(P, [{ op: 'repo.create', name: repo }], { id: ids(), principal: 'me' })
}

async function put(repo: string, path: string, content: string, pause?: Promise<void>) {
  const { versions, ids } = world
  const id = ids()
  for (;;)
    try {
      return await versions.commitFiles(
        P,
        branch(repo),
        async (writer) => {
          await writer.put(parsePath(path), utf8(content))
          await pause
        },
        { id, principal: 'me' },
      )
    } catch (error) {
      // As any author does.
      if ((error as { code?: string }).code !== 'SESSION_CLOSED') throw error
    }
}

async function gc(query: { plan?: boolean } = {}): Promise<GcView> {
  const steps = await Array.fromAsync(
    world.client.lines('POST /gc', { query: { waitMs: 0, ...query } }),
  )
  const last = steps.at(-1)
  expect(last?.phase).toBe('done')
  return last as GcView
}

const read = async (repo: string, path: string): Promise<string> => {
  const { versions } = world
  const head = (await versions.branch(P, branch(repo)))?.head
  return textOf(versions.objects.read(head?.root ?? null, parsePath(path)))
}

test('what nothing names goes, and the plan says so first', async () => {
  await repoOf('kept')
  await repoOf('gone')
  await put('kept', 'a', text(1))
  await put('gone', 'b', text(2))
  expect(await gc({ plan: true })).toMatchObject({ packs: 2, unused: 0, deleted: 0 })
  const request = { id: world.ids(), principal: 'me' }
  await world.versions.propose(P, [{ op: 'repo.delete', name: 'gone', force: true }], request)
  expect(await gc({ plan: true })).toMatchObject({ packs: 2, unused: 1, deleted: 0 })
  const done = await gc()
  expect(done).toMatchObject({ packs: 2, unused: 1, deleted: 1 })
  expect(done.deletedBytes).toBeGreaterThan(1_000)
  expect(await read('kept', 'a')).toBe(text(1))
  // The same bytes again: they are not thought to be there.
  await put('kept', 'b', text(2))
  expect(await read('kept', 'b')).toBe(text(2))
  // What its first try had stored is nobody's.
  await gc()
  expect(await gc()).toMatchObject({ packs: 2, unused: 0, deleted: 0 })
})

test('who was writing meanwhile loses nothing', async () => {
  await repoOf('thrown')
  await put('thrown', 'x', text(7))
  const paused = Promise.withResolvers<void>()
  // It builds on bytes that only the other repo holds.
  const late = put('kept', 'late', text(7), paused.promise)
  const { versions, ids } = world
  const open = ids()
  await versions.propose(
    P,
    [{ op: 'commit.open', branch: { repo: 'kept', branch: 'side' }, note: null }],
    {
      id: open,
      principal: 'me',
    },
  )
  const key = { repo: 'kept', branch: 'side', id: open }
  await versions.stageFiles(
    P,
    key,
    (writer) => writer.put(parsePath('s'), utf8(text(8))).then(() => {}),
    {
      id: ids(),
      principal: 'me',
    },
  )
  const request = { id: ids(), principal: 'me' }
  await versions.propose(P, [{ op: 'repo.delete', name: 'thrown', force: true }], request)
  expect((await gc()).deleted).toBeGreaterThan(0)
  paused.resolve()
  await late
  expect(await read('kept', 'late')).toBe(text(7))
  const finished = await versions.finishCommit(P, key, { id: ids(), principal: 'me' })
  expect(await textOf(versions.objects.read(finished.root, parsePath('s')))).toBe(text(8))
  // What first tries had stored is nobody's.
  await gc()
  expect(await gc()).toMatchObject({ unused: 0 })
})

/** Bytes that do not compress, the same for the same seed. */
function noise(seed: number, sizeBytes: number): Uint8Array {
  const random = seededRandom(seed)
  return Uint8Array.from({ length: sizeBytes }, () => Math.floor(random.next() * 256))
}

test('of a pack that is mostly unused the rest is carried over, and found there by whoever knows the old place', async () => {
  const { versions, ids, client } = world
  const repo = 'carried'
  await repoOf(repo)
  const request = () => ({ id: ids(), principal: 'me' })
  const puts = async (files: Record<string, Uint8Array>) =>
    versions.commitFiles(
      P,
      branch(repo),
      async (writer) => {
        for (const [path, bytes] of Object.entries(files)) await writer.put(parsePath(path), bytes)
      },
      request(),
    )
  const kept = noise(1, 50_000)
  const small = noise(2, 3_000)
  const first = await puts({ kept, 'd/small': small, 'd/gone': noise(3, 250_000) })
  const second = await puts({ 'd/gone': noise(4, 9_000) })
  const drop = { op: 'commit.drop' as const, commits: [first] }
  await versions.propose(P, [drop], request())
  const before = await gc({ plan: true })
  expect(before).toMatchObject({ underHalf: 1 })
  const done = await gc()
  expect(done).toMatchObject({ repacked: 1 })
  expect(done.deleted).toBeGreaterThanOrEqual(1)
  // This process, and one that has nothing cached.
  const other = world.elsewhere()
  for (const objects of [versions.objects, other])
    for (const [path, bytes] of Object.entries({ kept, 'd/small': small }))
      expect(
        Buffer.concat(await Array.fromAsync(objects.read(second.root, parsePath(path)))),
      ).toEqual(Buffer.from(bytes))
  const findings = await Array.fromAsync(client.lines('GET /verify', { query: {} }))
  expect(findings.filter((one) => one.kind !== 'progress' && one.kind !== 'done')).toEqual([])
  expect(findings.at(-1)).toMatchObject({ kind: 'done', damaged: 0, missing: 0, hurt: 0 })
  expect(await gc()).toMatchObject({ underHalf: 0, repacked: 0 })
  // And once more: what was carried over is carried on.
  const third = await puts({ kept: noise(5, 10), new: noise(6, 40_000) })
  await versions.propose(P, [{ op: 'commit.drop' as const, commits: [second] }], request())
  await gc()
  expect(
    Buffer.concat(await Array.fromAsync(other.read(third.root, parsePath('d/small')))),
  ).toEqual(Buffer.from(small))
})
