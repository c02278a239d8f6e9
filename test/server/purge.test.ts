import { afterAll, beforeAll, expect, test } from 'vitest'
import { utf8 } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { PurgeReceiptView } from '../../src/api/purges.ts'
import type { Commit } from '../../src/model/entities.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import { parsePath } from '../../src/model/path.ts'
import { rawStore } from '../objects/raw.ts'
import { makeWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

const request = () => ({ id: world.ids(), principal: 'me' })
const branch = (repo: string) => ({ repo, branch: 'master' })

async function repoOf(name: string): Promise<void> {
  await world.versions.propose(P, [{ op: 'repo.create', name }], request())
}

type Files = Readonly<Record<string, Uint8Array | string | null>>

async function commit(repo: string, files: Files): Promise<Commit> {
  return world.versions.commitFiles(
    P,
    branch(repo),
    async (writer) => {
      for (const [path, content] of Object.entries(files))
        if (content === null) await writer.delete(parsePath(path))
        else
          await writer.put(parsePath(path), typeof content === 'string' ? utf8(content) : content)
    },
    request(),
  )
}

async function purge(
  repo: string,
  paths: string[],
  query: { plan?: boolean; alsoCopies?: boolean } = {},
): Promise<PurgeReceiptView> {
  const steps = world.client.lines('POST /projects/:project/repos/:repo/purges', {
    params: { project: P, repo },
    query: { waitMs: 0, ...query },
    body: { paths },
  })
  const last = (await Array.fromAsync(steps)).at(-1)
  if (!last || !('receipt' in last)) throw new Error('no receipt')
  expect(last.phase).toBe(query.plan ? 'found' : 'done')
  return last.receipt
}

/** Bytes that do not compress, the same for the same seed. */
function noise(seed: number, sizeBytes: number): Uint8Array {
  const random = seededRandom(seed)
  return Uint8Array.from({ length: sizeBytes }, () => Math.floor(random.next() * 256))
}

async function readsAs(root: Commit['root'], files: Files): Promise<void> {
  for (const objects of [world.versions.objects, world.elsewhere()]) {
    const seen: Record<string, string> = {}
    for await (const { path } of objects.walk(root))
      seen[path] = Buffer.concat(await Array.fromAsync(objects.read(root, path))).toString('base64')
    const wanted: Record<string, string> = {}
    for (const [path, content] of Object.entries(files))
      if (content !== null) wanted[path] = Buffer.from(content).toString('base64')
    expect(seen).toEqual(wanted)
  }
}

async function isSound(): Promise<void> {
  const findings = await Array.fromAsync(world.client.lines('GET /verify', { query: {} }))
  expect(findings.at(-1)).toMatchObject({ kind: 'done', damaged: 0, missing: 0, hurt: 0 })
}

test('what is purged is in no commit and nowhere in the store, and all else is as it was', async () => {
  await repoOf('people')
  const secret = 'the secret of somebody who wants to be forgotten'
  const small = 'a short one'
  const large = noise(1, 900_000)
  const history: { readonly commit: Commit; readonly files: Files }[] = []
  let files: Files = {}
  const step = async (change: Files): Promise<void> => {
    files = Object.fromEntries(
      Object.entries({ ...files, ...change }).filter(([, one]) => one !== null),
    )
    history.push({ commit: await commit('people', change), files })
  }
  await step({ 'a/one': secret.repeat(30), 'a/two': 'other '.repeat(200), 'b/x': 'x' })
  await step({ 'a/one': `${secret} again`.repeat(40), 'c/big': large })
  await step({ 'dir/in/small': small, 'dir/in/other': 'stays' })
  const many: Record<string, string> = {}
  for (let i = 0; i < 5_000; i++) many[`many/${String(i).padStart(5, '0')}`] = `number ${i}`
  await step(many)
  await step({ 'many/02500': `${secret} among many` })
  const gone = ['a/one', 'c', 'dir/in/small', 'many/02500']
  await expect(purge('people', gone)).rejects.toMatchObject({ code: 'HAS_CHILDREN' })
  await step(
    Object.fromEntries(
      ['a/one', 'c/big', 'dir/in/small', 'many/02500'].map((path) => [path, null]),
    ),
  )
  for (const { commit: one, files: had } of history) await readsAs(one.root, had)
  const before = await rawStore(world.blob)
  for (const bytes of [utf8(secret), utf8(small), large.subarray(100_000, 100_064)])
    expect(before.indexOf(bytes)).toBeGreaterThan(0)

  const plan = await purge('people', gone, { plan: true })
  expect(plan.found).toMatchObject({ files: 6, elsewhere: [], elsewhereMore: 0 })
  expect(plan.found.trees).toHaveLength(5)
  const receipt = await purge('people', gone)
  expect(receipt).toMatchObject({ paths: gone, by: 'owner', found: plan.found })
  expect(receipt.done?.packs).toBeGreaterThan(2)

  const after = await rawStore(world.blob)
  for (const bytes of [utf8(secret), utf8(small), large.subarray(100_000, 100_064)])
    expect(after.indexOf(bytes)).toBe(-1)
  for (const { commit: one, files: had } of history) {
    const left = Object.entries(had).filter(
      ([path]) => !gone.some((g) => path === g || path.startsWith(`${g}/`)),
    )
    await readsAs(one.root, Object.fromEntries(left))
    expect(await world.versions.commit(P, one)).toEqual(one)
  }
  await isSound()
  const params = { project: P, purge: receipt.purge }
  const kept = await world.client.call('GET /projects/:project/purges/:purge', { params })
  expect(kept).toMatchObject({ state: 'ended', repo: 'people', receipt })
  // What is collected afterwards keeps to it.
  await Array.fromAsync(world.client.lines('POST /gc', { query: { waitMs: 0 } }))
  await isSound()
  await expect(purge('people', gone)).rejects.toMatchObject({ code: 'NOT_FOUND_PATH' })
  // Put again it is there again, in the new commit alone.
  const again = await commit('people', {
    'a/one': secret.repeat(30),
    'many/02500': `${secret} among many`,
  })
  const now = { ...files, 'a/one': secret.repeat(30), 'many/02500': `${secret} among many` }
  await readsAs(again.root, now)
  await isSound()
})

test('what others have of it stays, and the receipt says where', async () => {
  await repoOf('source')
  await repoOf('other')
  const shared = noise(7, 40_000)
  await commit('source', { 'd/mine': noise(8, 50_000), 'd/ours': shared, 'd/rest': 'rest' })
  await commit('source', { d: null })
  const other = await commit('other', { 'x/theirs': shared })
  const receipt = await purge('source', ['d'])
  expect(receipt.found).toMatchObject({
    files: 3,
    elsewhere: [{ name: `${P}/other@master=${other.id}`, path: 'x/theirs', has: 'content' }],
  })
  expect(receipt.done).toMatchObject({ sharedPieces: 1 })
  await readsAs(other.root, { 'x/theirs': shared })
  const raw = await rawStore(world.blob)
  expect(raw.indexOf(shared.subarray(1_000, 1_064))).toBeGreaterThan(0)
  expect(raw.indexOf(noise(8, 50_000).subarray(1_000, 1_064))).toBe(-1)
  // That as well.
  await commit('other', { x: null })
  const second = await purge('other', ['x'])
  expect(second.found.elsewhere).toEqual([])
  expect((await rawStore(world.blob)).indexOf(shared.subarray(1_000, 1_064))).toBe(-1)
  await readsAs(other.root, {})
  await isSound()
})

test('a directory that was copied loses the entry there as well, if that is meant', async () => {
  await repoOf('original')
  const { versions } = world
  // Too large to stand in the node above: it is copied as the node it is.
  const files: Record<string, string> = {}
  for (let i = 0; i < 60; i++) files[`d/file ${String(i).padStart(3, '0')}`] = `${i} `.repeat(120)
  const first = await commit('original', files)
  const entry = await versions.objects.stat(first.root, parsePath('d'))
  if (!entry) throw new Error('no directory')
  await repoOf('copied')
  const copy = await versions.commitFiles(
    P,
    branch('copied'),
    (writer) => writer.copy(parsePath('deep/copy'), entry),
    request(),
  )
  await commit('original', { d: null })
  await expect(purge('original', ['d/file 007'])).rejects.toMatchObject({ code: 'HAS_CHILDREN' })
  const receipt = await purge('original', ['d/file 007'], { alsoCopies: true })
  expect(receipt.found.elsewhere).toMatchObject([
    { name: `${P}/copied@master=${copy.id}`, path: 'deep/copy', has: 'directory' },
  ])
  const { 'd/file 007': _, ...left } = files
  await readsAs(first.root, left)
  const there = Object.entries(left).map(([path, text]) => [`deep/copy${path.slice(1)}`, text])
  await readsAs(copy.root, Object.fromEntries(there))
  await isSound()
})

test('what was staged, dropped or stored twice goes as well', async () => {
  await repoOf('litter')
  const { versions, ids } = world
  const secret = noise(21, 30_000)
  const tiny = 'the tiny secret of litter'
  const dropped = await commit('litter', { 's/a': secret, 's/b': tiny })
  // Another process stores the same bytes once more.
  const again = world.elsewhere().writer(null)
  await again.put(parsePath('s/a'), secret)
  await again.put(parsePath('s/b'), utf8(tiny))
  await again.finish()
  await commit('litter', { other: 'x' })
  const open = ids()
  const key = { repo: 'litter', branch: 'side', id: open }
  const opening = {
    op: 'commit.open' as const,
    branch: { repo: 'litter', branch: 'side' },
    note: null,
  }
  await versions.propose(P, [opening], { id: open, principal: 'me' })
  await versions.stageFiles(
    P,
    key,
    async (writer) => {
      await writer.put(parsePath('s/b'), utf8(tiny))
    },
    request(),
  )
  await commit('litter', { s: null })
  await expect(purge('litter', ['s'])).rejects.toMatchObject({ code: 'HAS_CHILDREN' })
  await versions.abandonCommit(P, key, request())
  const drop = { op: 'commit.drop' as const, commits: [dropped] }
  await versions.propose(P, [drop], request())
  const receipt = await purge('litter', ['s'])
  expect(receipt.found.trees).toHaveLength(1)
  const raw = await rawStore(world.blob)
  expect(raw.indexOf(secret.subarray(1_000, 1_064))).toBe(-1)
  expect(raw.indexOf(utf8(tiny))).toBe(-1)
  await isSound()
})

test('out of three thousand commits', { timeout: 240_000 }, async () => {
  await repoOf('long')
  const secret = (n: number): string => `the secret as of ${n} ${'of somebody '.repeat(60)}`
  const commits: Commit[] = []
  const wanted = new Map<number, string>()
  for (let n = 0; n < 3_000; n++) {
    const path = `people/${String((n * 7) % 400).padStart(3, '0')}`
    const change: Record<string, string> = { [path]: `${n} `.repeat(20) }
    if (n % 100 === 0) change['people/123 the one'] = secret(n)
    commits.push(await commit('long', change))
    if (n % 500 === 499) wanted.set(n, path)
  }
  commits.push(await commit('long', { 'people/123 the one': null }))
  const receipt = await purge('long', ['people/123 the one'])
  expect(receipt.found).toMatchObject({ files: 30, elsewhere: [] })
  expect(receipt.found.trees).toHaveLength(3_000)
  const raw = await rawStore(world.blob)
  expect(raw.indexOf(utf8('the secret as of'))).toBe(-1)
  const params = { project: P, repo: 'long' }
  const rows = world.client.pages((after) =>
    world.client.call('GET /projects/:project/repos/:repo/commits', { params, query: { after } }),
  )
  const listed = (await Array.fromAsync(rows)).map(({ id }) => id)
  expect(listed).toEqual(commits.map(({ id }) => id).toReversed())
  const other = world.elsewhere()
  for (const [n, path] of wanted) {
    const { root } = commits[n] as Commit
    const text = Buffer.concat(await Array.fromAsync(other.read(root, parsePath(path)))).toString()
    expect(text).toBe(`${n} `.repeat(20))
    expect(await other.stat(root, parsePath('people/123 the one'))).toBeUndefined()
  }
  await isSound()
})
