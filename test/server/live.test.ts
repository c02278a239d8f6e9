import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GraphEvent } from '../../src/api/graph.ts'
import { bytes, makeWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
const project = 'default'

beforeAll(async () => {
  world = await makeWorld()
  for (const name of ['live', 'waits'])
    await world.client.call('POST /projects/:project/repos', {
      params: { project },
      body: { name },
    })
})
afterAll(() => world.close())

const put = (repo: string, path: string, text: string) =>
  world.client.upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
    params: { project, repo, branch: 'master' },
    query: { path },
    content: bytes(text),
  })

test('a long poll answers when the commit ends, and as it is when the time is over', async () => {
  const open = await world.client.call(
    'POST /projects/:project/repos/:repo/branches/:branch/commits',
    { params: { project, repo: 'waits', branch: 'master' }, body: {} },
  )
  const wait = (timeoutMs: number) =>
    world.client.call('GET /projects/:project/repos/:repo/commits/:ref/wait', {
      params: { project, repo: 'waits', ref: open.id },
      query: { timeoutMs },
    })
  expect((await wait(1)).state).toBe('open')
  const waiting = wait(60_000)
  await put('waits', 'x', 'x')
  await world.client.call('POST /projects/:project/repos/:repo/commits/:ref/finish', {
    params: { project, repo: 'waits', ref: open.id },
  })
  expect(await waiting).toMatchObject({ id: open.id, state: 'finished', files: 1 })
})

test('deleting the open commit of a branch, asked twice under one key, is answered twice the same', async () => {
  const branch = { project, repo: 'waits', branch: 'empty' }
  const start = () =>
    world.client.call('POST /projects/:project/repos/:repo/branches/:branch/commits', {
      params: branch,
      body: {},
    })
  const { id } = await start()
  const idempotencyKey = world.ids()
  const params = { project, repo: 'waits', ref: 'empty' }
  const remove = (key: string = world.ids()) =>
    world.client.call('DELETE /projects/:project/repos/:repo/commits/:ref', {
      params,
      idempotencyKey: key,
    })
  const answer = await remove(idempotencyKey)
  expect(answer).toMatchObject({ id, state: 'stopped', cause: { code: 'STOPPED' } })
  expect(await remove(idempotencyKey)).toEqual(answer)
  const next = await start()
  expect(await remove(idempotencyKey)).toEqual(answer)
  expect(await remove()).toMatchObject({ id: next.id, state: 'stopped' })
  await expect(remove()).rejects.toMatchObject({ code: 'NOT_FOUND_COMMIT' })
})

test('events come as they happen and go on after the last one seen, none twice and none missing', async () => {
  const all: string[] = []
  const stop = new AbortController()
  const from = (after: string | undefined, signal: AbortSignal) =>
    world.client.events('GET /events', { query: { after }, signal })
  for (let i = 0; i < 5; i++) await put('live', `e/${i}`, `event ${i}`)
  for await (const { id, data } of from('0', stop.signal)) {
    all.push(String(id))
    if (data.type === 'dev.varve.commit.finished.v1' && all.length >= 8) break
  }
  stop.abort()
  expect(new Set(all).size).toBe(all.length)
  for (const [n, id] of all.slice(0, -1).entries()) {
    const once = new AbortController()
    for await (const next of from(id, once.signal)) {
      expect(next.id).toBe(all[n + 1])
      break
    }
    once.abort()
  }
  await expect(
    world.client.events('GET /events', { query: { after: 'nonsense' } }).next(),
  ).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})

test('the live graph says the whole first, then every change, and ends where the plain one stands', async () => {
  const stop = new AbortController()
  const stream = world.client.events('GET /projects/:project/graph/live', {
    params: { project },
    signal: stop.signal,
  })
  const seen: GraphEvent[] = []
  const nodes = new Map<string, unknown>()
  let put1: { commit: string } | undefined
  for await (const { data } of stream) {
    seen.push(data)
    if (data.type === 'graph') {
      nodes.clear()
      for (const node of data.graph.nodes) nodes.set(node.key, node)
    }
    if (data.type === 'node') nodes.set(data.node.key, data.node)
    if (seen.length === 1) put1 = await put('live', 'graph', 'a change')
    if (data.type === 'commit' && data.commit.id === put1?.commit) {
      await world.client.call('POST /projects/:project/repos', {
        params: { project },
        body: { name: 'late' },
      })
    }
    if (nodes.has('repo:late')) break
  }
  stop.abort()
  expect(seen[0]?.type).toBe('graph')
  expect(seen.some((one) => one.type === 'node' && one.node.key === 'repo:live')).toBe(true)
  const graph = await world.client.call('GET /projects/:project/graph', { params: { project } })
  expect(Object.fromEntries(nodes)).toEqual(
    Object.fromEntries(graph.nodes.map((node) => [node.key, node])),
  )
  const live = graph.nodes.find((node) => node.key === 'repo:live')
  expect(live?.bands[0]).toMatchObject({ id: put1?.commit, filesDelta: 1, state: 'finished' })
})

test('apply reads everything before it puts anything, and says what it did', async () => {
  const apply = (body: string, dryRun = false) =>
    world.client.call('POST /projects/:project/apply', {
      params: { project },
      query: { dryRun },
      body,
    })
  const spout = 'spout: {name: feed}\nsource: {file: {path: /x}}\ntarget: fed\n'
  expect((await apply(spout, true)).items).toEqual([
    { kind: 'spout', name: 'feed', action: 'create', plan: null, bound: null },
  ])
  await expect(apply(`${spout}---\nspout: {name: feed}\n`)).rejects.toMatchObject({
    code: 'INVALID_SPEC',
  })
  const bad = apply(
    `${spout}---\npipeline: {name: p}\ninput: {pfs: {repo: fed, glob: "/"}}\ntransfrm: {}\n`,
  )
  await expect(bad).rejects.toMatchObject({
    code: 'INVALID_SPEC',
    details: expect.objectContaining({ line: 7 }),
  })
  const spouts = () => world.client.call('GET /projects/:project/spouts', { params: { project } })
  expect((await spouts()).items).toEqual([])
  expect((await apply(spout)).items[0]?.action).toBe('create')
  expect((await apply(spout)).items[0]?.action).toBe('none')
  const paused = await world.client.call('POST /projects/:project/spouts/:spout/pause', {
    params: { project, spout: 'feed' },
  })
  expect(paused).toMatchObject({ state: 'paused', repo: 'fed' })
})

test('a list is paged without a gap', async () => {
  const pages = world.client.pages((after) =>
    world.client.call('GET /projects/:project/repos/:repo/commits', {
      params: { project, repo: 'live' },
      query: { after, limit: 2 },
    }),
  )
  const paged = await Array.fromAsync(pages)
  const whole = await world.client.call('GET /projects/:project/repos/:repo/commits', {
    params: { project, repo: 'live' },
  })
  expect(paged.length).toBeGreaterThan(4)
  expect(paged).toEqual(whole.items)
})
