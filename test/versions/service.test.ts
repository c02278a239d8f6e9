// The service over the real log and the real object engine, on memory ports.

import { afterEach, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/base/bytes.ts'
import type { Core } from '../../src/main/core.ts'
import { parseFilePath } from '../../src/model/path.ts'
import { parseRef } from '../../src/model/ref.ts'
import type { Op } from '../../src/model/ops.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { TreeWriter } from '../../src/objects/objects.ts'
import type { Request } from '../../src/versions/versions.ts'
import { memoryCore } from './core.ts'
import { NO_COUNTS, PLAN, at } from './drive.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function open(): Promise<Core & { request(): Request }> {
  const core = await memoryCore(1)
  const stop = new AbortController()
  const writing = core.writeLog(stop.signal)
  closing.push(async () => {
    stop.abort()
    await writing
    await core.close()
  })
  return { ...core, request: () => ({ id: core.ids(), principal: 'test' }) }
}

const files =
  (content: Record<string, string>) =>
  async (writer: TreeWriter): Promise<void> => {
    for (const [path, text] of Object.entries(content))
      await writer.put(parseFilePath(path), utf8(text))
  }

async function read(core: Core, root: TreeRef | null): Promise<Record<string, string>> {
  const all: Record<string, string> = {}
  for await (const file of core.versions.objects.walk(root)) {
    all[file.path] = ''
    for await (const part of core.versions.objects.readEntry(file)) all[file.path] += fromUtf8(part)
  }
  return all
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const PIPELINE: Op = {
  op: 'pipeline.put',
  pipeline: { name: 'b', inputs: [at('a')], outputBranch: 'master', backlog: 'every', spec: {} },
}

test('a commit reaches its rows, the rows below, and whoever follows; a job fills the output', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'a' }, PIPELINE], core.request())
  const commit = await v.commitFiles('default', at('a'), files({ 'x/y': '1' }), core.request())
  expect(await v.commit('default', commit)).toEqual(commit)
  expect((await v.branch('default', at('a')))?.head?.id).toBe(commit.id)
  expect((await v.commitSet('default', commit.id)).map(({ repo }) => repo)).toEqual(['a', 'b'])
  const [below] = await collect(v.subvenance('default', commit))
  if (!below) throw new Error('nothing below')
  expect(below).toEqual({ ...at('b'), id: commit.id })
  const job = { commit: below, plan: PLAN }
  const planned = { run: 1, reuse: 0, total: 1 }
  await v.propose(
    'default',
    [{ op: 'job.started', ...job, chunks: 1, codeKey: 'k', planned }],
    core.request(),
  )
  const { root, stats } = commit
  const ended = { state: 'finished' as const, counts: NO_COUNTS, cause: null }
  const trees = { datumTree: PLAN, ownerTree: PLAN }
  const finish: Op = { op: 'job.finished', ...job, ...ended, ...trees, root, stats }
  await v.propose('default', [finish], core.request())
  await expect(v.propose('default', [finish], core.request())).rejects.toMatchObject({
    code: 'STALE_STATE',
  })
  expect((await v.resolve('default', parseRef('b'))).root).toBe(root)
  expect(await v.job('default', 'b', commit.id)).toMatchObject({ state: 'finished' })
  expect(await v.datumTreeOf('default', 'b', 'k')).toMatchObject({ commit: below })
  expect((await collect(v.jobs('default', 'b'))).map((one) => one.state)).toEqual(['finished'])
  const seen: number[] = []
  for await (const entry of v.follow('default', 0, new AbortController().signal))
    if (seen.push(entry.seq) === 4) break
  expect(seen).toEqual([1, 2, 3, 4])
})

test('64 writers on one branch: none is refused, history is one line, nothing is lost', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'a' }], core.request())
  const made = await Promise.all(
    Array.from({ length: 64 }, (_, i) =>
      v.commitFiles('default', at('a'), files({ [`f${i}`]: `${i}` }), core.request()),
    ),
  )
  const history = await collect(v.commits('default', 'a'))
  expect(history.map((one) => one.id).toSorted()).toEqual(made.map((one) => one.id).toSorted())
  for (const [i, commit] of history.entries())
    expect(commit.parent).toBe(history[i + 1]?.id ?? null)
  const content = await read(core, history[0]?.root ?? null)
  expect(content).toEqual(Object.fromEntries(made.map((_, i) => [`f${i}`, `${i}`])))
})

test('a put into an open commit counts once: what comes late does not lie over what is newer', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'a' }], core.request())
  const request = core.request()
  await v.propose('default', [{ op: 'commit.open', branch: at('a'), note: null }], request)
  const key = { ...at('a'), id: request.id }
  const [first, second, third] = [core.request(), core.request(), core.request()]
  const add = (writer: TreeWriter): Promise<void> => writer.append(parseFilePath('log'), utf8('+'))
  await v.stageFiles('default', key, files({ f: 'old' }), first)
  await v.stageFiles('default', key, files({ f: 'new' }), second)
  await v.stageFiles('default', key, add, third)
  await Promise.all([
    v.stageFiles('default', key, files({ f: 'old' }), first),
    v.stageFiles('default', key, add, third),
  ])
  const done = await v.finishCommit('default', key, core.request())
  expect(await read(core, done.root)).toEqual({ f: 'new', log: '+' })
})

test('an open commit holds every acknowledged put, whoever finishes it and how often', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'a' }], core.request())
  await v.commitFiles('default', at('a'), files({ old: 'o' }), core.request())
  const request = core.request()
  await v.propose('default', [{ op: 'commit.open', branch: at('a'), note: null }], request)
  const key = { ...at('a'), id: request.id }
  expect((await v.openCommit('default', at('a')))?.id).toBe(request.id)
  // A one-shot commit goes on beside it.
  await v.commitFiles('default', at('a'), files({ beside: 'b' }), core.request())
  const stage = (i: number): Promise<boolean> =>
    v.stageFiles('default', key, files({ [`s${i}`]: `${i}` }), core.request()).then(
      () => true,
      (error: { code: string }) => {
        expect(error.code).toBe('NOT_OPEN')
        return false
      },
    )
  const first = await Promise.all(Array.from({ length: 5 }, (_, i) => stage(i)))
  const racing = Array.from({ length: 5 }, (_, i) => stage(5 + i))
  const finished = await Promise.all([
    v.finishCommit('default', key, core.request()),
    v.finishCommit('default', key, core.request()),
  ])
  const put = [...first, ...(await Promise.all(racing))]
  const again = await v.finishCommit('default', key, core.request())
  expect(finished[0]).toEqual(finished[1])
  expect(again).toEqual(finished[0])
  const staged = put.flatMap((done, i) => (done ? [[`s${i}`, `${i}`]] : []))
  expect(first).toEqual([true, true, true, true, true])
  expect(await read(core, again.root)).toEqual({
    old: 'o',
    beside: 'b',
    ...Object.fromEntries(staged),
  })
  expect(await stage(99)).toBe(false)
  expect(await v.openCommit('default', at('a'))).toBeUndefined()
})

test('a commit that cannot be finished any more is given up, and the branch is free again', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'a' }], core.request())
  await v.commitFiles('default', at('a'), files({ log: '1' }), core.request())
  const start = async () => {
    const request = core.request()
    await v.propose('default', [{ op: 'commit.open', branch: at('a'), note: null }], request)
    return { ...at('a'), id: request.id }
  }
  const key = await start()
  await v.stageFiles(
    'default',
    key,
    (writer) => writer.append(parseFilePath('log'), utf8('2')),
    core.request(),
  )
  await v.commitFiles('default', at('a'), files({ log: 'other' }), core.request())
  const code = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'done',
      (error: { code: string }) => error.code,
    )
  expect(await code(v.finishCommit('default', key, core.request()))).toBe('PATH_CONFLICT')
  expect(await code(v.stageFiles('default', key, files({ x: '' }), core.request()))).toBe(
    'NOT_OPEN',
  )
  const request = core.request()
  const ended = await v.abandonCommit('default', key, request)
  expect(ended).toMatchObject({ ...key, state: 'stopped', root: null })
  expect(await v.commit('default', key)).toEqual(ended)
  expect(await v.openCommit('default', at('a'))).toBeUndefined()
  // Asked once more under its id while another is open: the same answer, and that one goes on.
  const next = await start()
  expect(await v.abandonCommit('default', key, request)).toEqual(ended)
  expect(await code(v.abandonCommit('default', key, core.request()))).toBe('NOT_OPEN')
  await v.stageFiles('default', next, files({ y: 'y' }), core.request())
  const { root } = await v.finishCommit('default', next, core.request())
  expect(await read(core, root)).toEqual({ log: 'other', y: 'y' })
  expect(await code(v.abandonCommit('default', next, core.request()))).toBe('NOT_OPEN')
  expect((await v.branch('default', at('a')))?.head?.id).toBe(next.id)
})

test('who was writing when a commit was given up is refused, not told it is safe', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'a' }], core.request())
  const request = core.request()
  await v.propose('default', [{ op: 'commit.open', branch: at('a'), note: null }], request)
  const key = { ...at('a'), id: request.id }
  const writing = v.stageFiles(
    'default',
    key,
    async (writer) => {
      await writer.put(parseFilePath('f'), utf8('1'))
      await v.abandonCommit('default', key, core.request())
    },
    core.request(),
  )
  await expect(writing).rejects.toMatchObject({ code: 'NOT_OPEN' })
})

test('finishing and giving up at once: one of them, for all who asked', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'a' }], core.request())
  const seen = new Set<string>()
  for (let i = 0; i < 8; i++) {
    const request = core.request()
    await v.propose('default', [{ op: 'commit.open', branch: at('a'), note: null }], request)
    const key = { ...at('a'), id: request.id }
    await v.stageFiles('default', key, files({ [`f${i}`]: '' }), core.request())
    const finish = () => v.finishCommit('default', key, core.request())
    const abandon = () => v.abandonCommit('default', key, core.request())
    const ends = await Promise.allSettled(
      (i % 2 ? [finish, abandon] : [abandon, finish]).map((end) => end()),
    )
    const states = ends.map((end) =>
      end.status === 'fulfilled' ? end.value.state : (end.reason as { code: string }).code,
    )
    const { state = 'open' } = (await v.commit('default', key)) ?? {}
    expect(states.toSorted()).toEqual(['NOT_OPEN', state].toSorted())
    seen.add(state)
    const { root = null } = (await v.branch('default', at('a')))?.head ?? {}
    expect(`f${i}` in (await read(core, root))).toBe(state === 'finished')
    await expect(
      v.stageFiles('default', key, files({ late: '' }), core.request()),
    ).rejects.toMatchObject({
      code: 'NOT_OPEN',
    })
  }
  expect(seen).toContain('stopped')
})

test('appends in an open commit go on from what was put into it before', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'a' }], core.request())
  const content = { old: 'o', replaced: 'r', gone: 'g' }
  await v.commitFiles('default', at('a'), files(content), core.request())
  const request = core.request()
  await v.propose('default', [{ op: 'commit.open', branch: at('a'), note: null }], request)
  const key = { ...at('a'), id: request.id }
  const append = (path: string, text: string): Promise<void> =>
    v.stageFiles(
      'default',
      key,
      (writer) => writer.append(parseFilePath(path), utf8(text)),
      core.request(),
    )
  await v.stageFiles(
    'default',
    key,
    files({ new: '1', replaced: 'R', 'dir/x': 'a' }),
    core.request(),
  )
  await v.stageFiles(
    'default',
    key,
    (writer) => writer.delete(parseFilePath('gone')),
    core.request(),
  )
  for (const path of ['new', 'old', 'replaced', 'gone', 'dir/x', 'fresh']) {
    await append(path, '2')
    await append(path, '3')
  }
  const { root } = await v.finishCommit('default', key, core.request())
  expect(await read(core, root)).toEqual({
    'dir/x': 'a23',
    fresh: '23',
    gone: '23',
    new: '123',
    old: 'o23',
    replaced: 'R23',
  })
})

test('references: branch, whole and short ids, steps back, and what was perhaps meant', async () => {
  const core = await open()
  const { versions: v } = core
  await v.propose('default', [{ op: 'repo.create', name: 'photos' }], core.request())
  const ids: string[] = []
  for (const text of ['1', '2', '3'])
    ids.push((await v.commitFiles('default', at('photos'), files({ f: text }), core.request())).id)
  const meant = async (text: string): Promise<string> =>
    (await v.resolve('default', parseRef(text))).id
  expect(await meant('photos')).toBe(ids[2])
  expect(await meant('photos@master^')).toBe(ids[1])
  expect(await meant('photos@master~2')).toBe(ids[0])
  expect(await meant(`photos@${ids[1]}`)).toBe(ids[1])
  expect(await meant(`photos@${ids[0]?.slice(-8)}`)).toBe(ids[0])
  expect(await meant(`photos@master=${ids[1]}`)).toBe(ids[1])
  await expect(meant('photos@master~3')).rejects.toMatchObject({ code: 'NOT_FOUND_COMMIT' })
  await expect(meant('photo')).rejects.toThrow('did you mean "photos"')
  await expect(meant('photos@mastr')).rejects.toThrow('did you mean "master"')
})

test('the same request again is answered the same; another under its id is refused', async () => {
  const core = await open()
  const { versions: v } = core
  const request = core.request()
  const create: Op[] = [{ op: 'repo.create', name: 'a' }]
  const entry = await v.propose('default', create, request)
  expect(await v.propose('default', create, request)).toEqual(entry)
  const other: Op[] = [{ op: 'repo.create', name: 'b' }]
  await expect(v.propose('default', other, request)).rejects.toMatchObject({ code: 'KEY_REUSED' })
  const no = core.request()
  for (let i = 0; i < 2; i++)
    await expect(v.propose('default', create, no)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
})

test('a project has a log once it was created, and none before', async () => {
  const core = await open()
  const { versions: v } = core
  const create: Op[] = [{ op: 'repo.create', name: 'a' }]
  await expect(v.propose('lab', create, core.request())).rejects.toMatchObject({
    code: 'NOT_FOUND_PROJECT',
  })
  await v.propose('_system', [{ op: 'project.create', name: 'lab' }], core.request())
  await v.propose('lab', create, core.request())
  expect((await collect(v.projects())).map(({ name }) => name)).toEqual(['default', 'lab'])
  expect(await v.repo('default', 'a')).toBeUndefined()
  expect((await v.repo('lab', 'a'))?.name).toBe('a')
})

test('a branch moved back takes its spout along: the feed goes on from there', async () => {
  const core = await open()
  const { versions: v } = core
  const spout = { name: 's', ...at('feed'), spec: {} }
  await v.propose('default', [{ op: 'spout.put', spout }], core.request())
  const bring = (epoch: number, ranges: Record<string, { from: string | null; to: string }>) =>
    v.commitFiles('default', at('feed'), files({ f: '' }), core.request(), {
      feed: { spout: 's', epoch, ranges },
    })
  const first = await bring(0, { p: { from: null, to: '5' }, q: { from: null, to: '1' } })
  const second = await bring(0, { p: { from: '5', to: '9' } })
  await bring(0, { q: { from: '1', to: '4' }, r: { from: null, to: '1' } })
  const move: Op = { op: 'branch.put', branch: at('feed'), head: second.id }
  await v.propose('default', [move], core.request())
  expect(await v.spout('default', 's')).toMatchObject({ epoch: 1, positions: { p: '9', q: '1' } })
  expect((await v.spout('default', 's'))?.positions).not.toHaveProperty('r')
  await expect(bring(0, { q: { from: '1', to: '4' } })).rejects.toMatchObject({
    code: 'STALE_SOURCE',
  })
  const next = await bring(1, { r: { from: null, to: '2' } })
  expect([next.parent, second.parent]).toEqual([second.id, first.id])
})

test('rows are made again while a reader goes on, and a check says whether they are right', async () => {
  const core = await open()
  const { versions, request } = core
  await versions.propose('default', [{ op: 'repo.create', name: 'in' }], request())
  const put = (n: number) =>
    versions.commitFiles('default', at('in'), files({ [`f${n}`]: `${n}` }), request())
  for (let n = 0; n < 5; n++) await put(n)
  const { signal } = new AbortController()
  const heard: string[] = []
  const following = (async () => {
    for await (const { seq } of versions.follow('default', 0, signal)) {
      // Whoever hears of an entry can read it, in whichever view.
      const commits = await Array.fromAsync(versions.commits('default', 'in'))
      heard.push(commits.length >= seq - 2 ? 'all' : `${commits.length} at ${seq}`)
      if (seq === 12) return
    }
  })()
  const rebuild = (check: boolean) =>
    Array.fromAsync(versions.rebuild('default', request(), check, signal))
  const [steps] = await Promise.all([rebuild(false), put(5), put(6)])
  expect(steps.at(-1)).toMatchObject({ phase: 'done', view: 2 })
  for (let n = 7; n < 10; n++) await put(n)
  await following
  expect(new Set(heard)).toEqual(new Set(['all']))
  const checked = (await rebuild(true)).at(-1)
  expect(checked).toMatchObject({ phase: 'done', view: 3, differing: 0 })
  expect(checked?.rows).toBeGreaterThan(20)
  const head = (await versions.branch('default', at('in')))?.head
  expect(Object.keys(await read(core, head?.root ?? null))).toHaveLength(10)
})
