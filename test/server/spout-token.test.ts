// What the token of a spout's code opens, and every way we know to get more out of it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fullPath } from '../../src/api/route.ts'
import type { Route } from '../../src/api/route.ts'
import { ROUTES } from '../../src/api/routes.ts'
import { writeTar } from '../../src/api/tar.ts'
import type { TarFile } from '../../src/api/tar.ts'
import type { Claim } from '../../src/api/worker.ts'
import { must } from '../../src/base/assert.ts'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { HttpWorkerApi } from '../../src/client/worker-api.ts'
import type { Id } from '../../src/model/id.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import { RUNS_BRANCH } from '../../src/model/spec-standing.ts'
import { SPOUT_ROUTES } from '../../src/server/spout-scope.ts'
import { SpoutTokens } from '../../src/server/spout-token.ts'
import type { ClaimDesk } from '../../src/server/worker-claims.ts'
import { workerRoutes } from '../../src/server/worker-routes.ts'
import { Agent } from '../../src/worker/agent.ts'
import { PROJECT } from '../pipelines/world.ts'
import type { World as Pipelines } from '../pipelines/world.ts'
import { bytes, makeWorld, TOKEN } from './world.ts'
import type { World as Server } from './world.ts'
import type { Given, Pair } from './worker-world.ts'
import { ByHand, clock, issue, openPipelines, SECRET, serve } from './worker-world.ts'

/** Ten times as fast: beats. */
const fast: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * 10,
  sleep: (ms, signal) => systemClock.sleep(ms / 10, signal),
}

/** Two cores may have much else to do. */
const PATIENT = { timeout: 30_000 }

let pair: Pair
let pipelines: Pipelines
let desk: ClaimDesk
let server: Server
let worker: ByHand
let given: Given
let token: string
/** Of out@news. */
let own: Id
/** Of out@master, which is beside it. */
let beside: Id
const asked: string[] = []
const told: [number, number][] = []

/** Hears what is asked of the desk. */
function overheard(of: ClaimDesk): ClaimDesk {
  return new Proxy(of, {
    get(target, name) {
      if (name === 'holds') asked.push('holds')
      if (name === 'progress')
        return (_claim: Claim, done: number, failed: number) => void told.push([done, failed])
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

function open(secret = SECRET): Promise<Server> {
  const { versions, ids } = pipelines.core
  const spoutTokens = new SpoutTokens({ secret, clock, holds: (claim) => desk.holds(claim) })
  const routes = workerRoutes({ desk, secret, clock, ids, spoutTokens })
  return makeWorld({
    versions,
    pipelines: pipelines.pipelines,
    ids,
    spoutTokens,
    extensions: [routes],
  })
}

interface Answer {
  readonly status: number
  readonly code: string | undefined
  readonly text: string
}

/** Below the project, unless the path is whole. */
async function ask(
  method: string,
  path: string,
  more: {
    as?: string
    body?: NonNullable<RequestInit['body']>
    headers?: Record<string, string>
    of?: Server
  } = {},
): Promise<Answer> {
  const { as = token, of = server, body, headers } = more
  const url = path.startsWith('/') ? path : `/api/v1/projects/${PROJECT}/repos/${path}`
  const init: RequestInit & { duplex?: 'half' } = { method, headers: { ...headers } }
  if (as !== '') init.headers = { authorization: `Bearer ${as}`, ...headers }
  if (body !== undefined) init.body = body
  if (body instanceof ReadableStream) init.duplex = 'half'
  const answer = await fetch(of.url + url, init)
  const text = await answer.text()
  return { status: answer.status, code: /"code":"([A-Z_]+)"/.exec(text)?.[1], text }
}

const idIn = ({ text }: Answer): Id =>
  must(/"(?:id|commit)":"([0-9a-f]{32})"/.exec(text)?.[1], `an id in ${text}`) as Id

async function tarOf(path: string, text: string): Promise<Buffer> {
  async function* files(): AsyncGenerator<TarFile> {
    yield { path, sizeBytes: text.length, content: bytes(text) }
  }
  return Buffer.concat(await Array.fromAsync(writeTar(files())))
}

async function claimAgain(): Promise<void> {
  given = await worker.claim()
  token = must(given.claim.writes, 'what the spout writes').token
}

beforeAll(async () => {
  pair = await openPipelines({ code: { version: '1', run: () => 0 } })
  ;({ pipelines } = pair)
  desk = overheard(pipelines.desk)
  server = await open()
  worker = new ByHand(server, issue('default', 100_000).token)
  const { versions, ids } = pipelines.core
  const document = { pipeline: { name: 'out' }, transform: { cmd: ['code'] }, spout: {} }
  const spec = parsePipelineDocument({ ...document, outputBranch: 'news' })
  const pipeline = { name: 'out', inputs: [], outputBranch: RUNS_BRANCH, backlog: spec.backlog }
  await versions.propose(
    PROJECT,
    [
      { op: 'pipeline.put', pipeline: { ...pipeline, spec: { ...spec } } },
      { op: 'branch.put', branch: { repo: 'out', branch: 'news' } },
    ],
    { id: ids(), principal: 'user:test' },
  )
  await pipelines.commit('in', { a: 'a secret of "in"' })
  await claimAgain()
  own = idIn(await ask('PUT', 'out/branches/news/file?path=/first', { body: 'the first' }))
  const other = await ask('PUT', 'out/branches/beside/file?path=/b', { as: TOKEN, body: 'beside' })
  expect(other.status).toBe(200)
  beside = idIn(other)
})
afterAll(async () => {
  await server.close()
  await pipelines.close()
})

describe('what it opens', () => {
  test('its claim says where it writes; commits and files of that branch, in the name of the spout', async () => {
    expect(given.claim.writes).toEqual({ token, repo: 'out', branch: 'news' })
    const { versions } = pipelines.core
    expect((await versions.decisionOf(PROJECT, own))?.principal).toBe(`spout:${PROJECT}/out`)

    const commit = idIn(await ask('POST', 'out/branches/news/commits', { body: '{}' }))
    await ask('PUT', 'out/branches/news/file?path=/n&append=true', { body: 'one, ' })
    await ask('PUT', 'out/branches/news/file?path=/n&append=true', { body: 'two' })
    const tar = await tarOf('d/t', 'of a tar')
    expect(await ask('PUT', 'out/branches/news/files', { body: tar })).toMatchObject({
      status: 200,
    })
    expect(await ask('DELETE', 'out/branches/news/file?path=/first')).toMatchObject({ status: 200 })
    // By the id alone, as it was answered; by the branch it would mean the same.
    const finished = await ask('POST', `out/commits/${commit}/finish`)
    expect(finished.text).toContain('"state":"finished"')

    for (const ref of ['news', commit, commit.slice(-8), `news=${commit}`]) {
      expect((await ask('GET', `out/commits/${ref}/file?path=/n`)).text).toBe('one, two')
      expect((await ask('GET', `out/commits/${ref}/ls`)).text).not.toContain('first')
      expect((await ask('GET', `out/commits/${ref}/wait`)).text).toContain('"finished"')
      expect((await ask('GET', `out/commits/${ref}`)).text).toContain(commit)
    }
    expect((await ask('GET', `out/commits/${own}/file?path=/first`)).text).toBe('the first')
    expect((await ask('GET', 'out/commits/news/stat?path=/d/t')).text).toContain('"bytes":8')
    expect((await ask('GET', 'out/commits/news/glob?pattern=/d/*')).text).toContain('"d/t"')
    expect((await ask('GET', 'out/commits/news/files')).text).toContain('of a tar')
    const list = await ask('GET', 'out/commits?branch=news')
    expect(list.text).toContain(own)
    expect(list.text).not.toContain(beside)
    expect((await ask('GET', 'out/branches/news')).text).toContain(commit)
  })

  test('an open commit can be given up', async () => {
    await ask('POST', 'out/branches/news/commits', { body: '{}' })
    await ask('PUT', 'out/branches/news/file?path=/half', { body: 'half' })
    expect((await ask('DELETE', 'out/commits/news')).text).toContain('"state":"stopped"')
    expect((await ask('GET', 'out/commits/news/file?path=/half')).code).toBe('NOT_FOUND_PATH')
  })

  test('any server of the cluster knows it, also one that was started later', async () => {
    const later = await open()
    const answer = await ask('PUT', 'out/branches/news/file?path=/l', { of: later, body: 'later' })
    await later.close()
    expect(answer.status).toBe(200)
    expect((await ask('GET', 'out/commits/news/file?path=/l')).text).toBe('later')
  })

  test('what code that stands tells of its ends reaches the desk; it is never done', async () => {
    const body = { done: 0, failed: 7 }
    await worker.ask('POST /worker/progress', { ticket: given.ticket, body })
    expect(told.at(-1)).toEqual([0, 7])
  })
})

describe('what it does not open', () => {
  const filled = (route: Route, names: Record<string, string> = {}): string => {
    const usual = { project: PROJECT, repo: 'out', branch: 'news', ref: 'news', pipeline: 'out' }
    const values: Record<string, string> = { ...usual, ...names }
    return fullPath(route).replaceAll(/:([a-z]+)/g, (_, name: string) => values[name] ?? 'x')
  }

  test('any other route: it says what it is for', async () => {
    const others = (ROUTES as readonly Route[]).filter(
      (route) => !SPOUT_ROUTES.has(route) && route.permission !== 'public',
    )
    expect(others.length).toBeGreaterThan(30)
    for (const route of others) {
      const answer = await ask(route.method, filled(route))
      expect([route.path, answer.status, answer.code]).toEqual([route.path, 403, 'FORBIDDEN'])
      expect(answer.text).toContain(String.raw`files and commits of \"out@news\"`)
    }
    expect((await ask('GET', '/api/v1/worker/files?input=in&path=a')).status).toBe(401)
  })

  test('its routes have no other way to name a repo, a branch or a commit', () => {
    // Who adds a parameter to one of them has to think of what it opens here.
    const harmless = ['path', 'append', 'message', 'download', 'after', 'limit', 'pattern']
    const parts = ['to', 'recursive', 'offset', 'length', 'delete']
    const known = new Set([...harmless, ...parts, 'timeoutMs', 'branch'])
    const namesOf = (schema: unknown): string[] =>
      Object.keys((schema as { properties?: object } | undefined)?.properties ?? {})
    expect(SPOUT_ROUTES.size).toBe(17)
    for (const route of SPOUT_ROUTES) {
      const body = typeof route.body === 'object' ? namesOf(route.body.json) : []
      for (const name of [...namesOf(route.query), ...body]) expect(known).toContain(name)
      expect(route.path).toMatch(/^\/projects\/:project\/repos\/:repo\/(?:branches|commits)/)
    }
  })

  test('another project, repo or branch, however it is written', async () => {
    const projects = ['other', '_system', 'Default', 'default%20', `${PROJECT}%2Fx`]
    const repos = [
      'in',
      '%69n',
      'in%2F..%2Fout',
      'out%2F..%2Fin',
      'default%2Fin',
      'OUT',
      'out@news',
    ]
    const more = ['out%40beside', 'out%00', 'in%23out', 'out%3A', '%6Fut%20']
    for (const route of SPOUT_ROUTES) {
      const branch = route.path.endsWith('/commits') ? '?branch=news&path=/x' : '?path=/x'
      const refused = async (names: Record<string, string>): Promise<void> => {
        const answer = await ask(route.method, filled(route, names) + branch)
        expect([route.path, names, answer.code]).toEqual([route.path, names, 'FORBIDDEN'])
      }
      for (const project of projects) await refused({ project })
      for (const repo of [...repos, ...more]) await refused({ repo })
      if (route.path.includes(':branch'))
        for (const name of [
          'beside',
          'master',
          'runs',
          'news%20',
          'NEWS',
          'news%2F..%2Fbeside',
          own,
        ])
          await refused({ branch: name })
    }
    for (const query of ['', '?branch=beside', '?branch=news&branch=beside', '?branch[]=news'])
      expect(await ask('GET', `out/commits${query}`)).toMatchObject({ code: 'FORBIDDEN' })
  })

  test('commits of other branches, by name, step, form or id', async () => {
    const forms = ['beside', 'master', `beside=${beside}`, 'news^', 'news~1', 'news~0', 'news%5E1']
    const odd = [
      'news=',
      '=news',
      'news=beside',
      'news%3Dbeside',
      'news:',
      'news@beside',
      'news%20',
    ]
    const more = [`${own}^`, `${own}~1`, `news=${own}~1`, `news=news=${own}`, `x=${own}`, 'abc']
    for (const ref of [...forms, ...odd, ...more])
      for (const [method, rest] of [
        ['GET', '/file?path=/b'],
        ['GET', ''],
        ['POST', '/finish'],
        ['DELETE', ''],
      ] as const)
        expect([ref, (await ask(method, `out/commits/${ref}${rest}`)).code]).toEqual([
          ref,
          'FORBIDDEN',
        ])
    // An id may be of any branch; it is looked for on its own.
    const started = await ask('POST', 'out/branches/beside/commits', { as: TOKEN, body: '{}' })
    const opened = idIn(started)
    for (const id of [beside, beside.slice(-12), beside.toUpperCase(), opened, `news=${beside}`])
      for (const [method, rest] of [
        ['GET', '/file?path=/b'],
        ['GET', ''],
        ['GET', '/wait?timeoutMs=0'],
        ['POST', '/finish'],
        ['DELETE', ''],
      ] as const)
        expect((await ask(method, `out/commits/${id}${rest}`)).code).toBe('NOT_FOUND_COMMIT')
    const still = await ask('GET', `out/commits/${opened}`, { as: TOKEN })
    expect(still.text).toContain('"state":"open"')
    await ask('DELETE', `out/commits/beside`, { as: TOKEN })
  })

  test('another request under its key: not even what was given up elsewhere is shown', async () => {
    await ask('POST', 'out/branches/beside/commits', { as: TOKEN, body: '{}' })
    const key = pipelines.core.ids()
    const headers = { 'idempotency-key': key }
    const given = await ask('DELETE', 'out/commits/beside', { as: TOKEN, headers })
    expect(given.status).toBe(200)
    const again = await ask('DELETE', 'out/commits/news', { headers })
    expect(again.code).toBe('KEY_REUSED')
    const put = await ask('PUT', 'out/branches/news/file?path=/x', { body: 'x', headers })
    expect(put.code).toBe('KEY_REUSED')
  })
})

describe('what is not one', () => {
  const news = 'out/commits/news/ls'

  test('a token that was changed, cut, made elsewhere or for something else', async () => {
    const [prefix, payload = '', mac = ''] = token.split('.')
    const grant = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    const richer = Buffer.from(JSON.stringify({ ...grant, repo: 'in' })).toString('base64url')
    const elsewhere = new SpoutTokens({
      secret: 'the secret of quite another cluster',
      clock,
      holds: () => Promise.resolve(true),
    })
    const wrong = [
      `${prefix}.${richer}.${mac}`,
      `${prefix}.${payload}.`,
      `${prefix}.${payload}`,
      `${prefix}.`,
      `${prefix}..${mac}`,
      token.slice(0, -1),
      `${token}A`,
      `${token}=`,
      token.toLowerCase(),
      `vs1.${given.ticket}`,
      `vs1.${worker.token.slice(4)}`,
      `vs1.${TOKEN}`,
      `vw1.${token.slice(4)}`,
      must(elsewhere.writesOf(given.claim), 'token').token,
    ]
    for (const as of wrong)
      expect([as, (await ask('GET', news, { as })).code]).toEqual([as, 'UNAUTHENTICATED'])
    const { text } = await ask('GET', news, { as: token.slice(0, -1) })
    expect(text).not.toContain(payload)
  })

  test('in the address or in a cookie it opens nothing', async () => {
    expect((await ask('GET', `${news}?token=${token}`, { as: '' })).code).toBe('UNAUTHENTICATED')
    const cookie = `varve_token_${new URL(server.url).port}=${token}`
    expect((await ask('GET', news, { as: '', headers: { cookie } })).code).toBe('UNAUTHENTICATED')
    const visit = await fetch(`${server.url}/?token=${token}`, { redirect: 'manual' })
    expect(visit.headers.get('set-cookie')).toBeNull()
    // What it opens does not grow by what else is sent along.
    const both = `/api/v1/projects?token=${TOKEN}`
    expect((await ask('GET', both)).code).toBe('FORBIDDEN')
  })

  test('where there are no spouts there is no door, and a claim brings no token', async () => {
    const embedded = await serve(desk)
    expect((await ask('GET', news, { of: embedded })).code).toBe('UNAUTHENTICATED')
    const hand = new ByHand(embedded, issue('default', 1000).token, 'w2')
    await worker.ask('POST /worker/give-back', { ticket: given.ticket })
    const { claim, ticket } = await hand.claim()
    expect(claim.spec.spout).toEqual({})
    expect(claim.writes).toBeUndefined()
    await hand.ask('POST /worker/give-back', { ticket })
    await embedded.close()
    await claimAgain()
  })
})

describe('when its claim falls', () => {
  const put = (name: string, body: NonNullable<RequestInit['body']> = name) =>
    ask('PUT', `out/branches/news/file?path=/${name}`, { body })

  test('that is noticed within two seconds, and asked no more often than that', async () => {
    clock.aheadMs += 10_000
    const before = asked.length
    await Promise.all([put('a1'), put('a2'), ask('GET', 'out/commits/news/ls')])
    expect(asked.length - before).toBe(1)
    await worker.ask('POST /worker/give-back', { ticket: given.ticket })
    clock.aheadMs += 2_001
    const refused = await put('a3')
    expect(refused).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' })
    expect(refused.text).toContain('has ended, or another worker has it')
    expect(refused.text).not.toContain(token)
    // The next claim has another; the old one stays shut.
    const old = token
    await claimAgain()
    expect(token).not.toBe(old)
    expect((await put('a4')).status).toBe(200)
    expect((await ask('GET', 'out/commits/news/ls', { as: old })).code).toBe('UNAUTHENTICATED')
  })

  test('a body that is still being sent is not taken any more', async () => {
    const tar = await tarOf('slow', 'slow')
    const [file, end] = [tar.subarray(0, 1024), tar.subarray(1024)]
    const bodies = [
      ['file?path=/slow', [Buffer.from('first part, '), Buffer.from('second part')]],
      ['file?path=/slow', [Buffer.from('all of it')]],
      // Of an archive nothing is read behind its end.
      ['files', [file, end]],
    ] as const
    for (const [where, [first, second]] of bodies) {
      const gate = Promise.withResolvers<void>()
      const body = new ReadableStream<Uint8Array>({
        start: (to) => to.enqueue(first),
        async pull(to) {
          await gate.promise
          if (second) to.enqueue(second)
          to.close()
        },
      })
      clock.aheadMs += 2_001
      const before = asked.length
      const sending = ask('PUT', `out/branches/news/${where}`, { body })
      // It was let in.
      await expect.poll(() => asked.length, PATIENT).toBeGreaterThan(before)
      await worker.ask('POST /worker/give-back', { ticket: given.ticket })
      clock.aheadMs += 2_001
      gate.resolve()
      expect(await sending).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' })
      await claimAgain()
      expect((await ask('GET', 'out/commits/news/file?path=/slow')).code).toBe('NOT_FOUND_PATH')
    }
  })
})

test('code finds all it needs to write in its environment, and is dead when its job was stopped', async () => {
  await worker.ask('POST /worker/give-back', { ticket: given.ticket })
  const { versions, ids } = pipelines.core
  let dead = false
  let env: Readonly<Record<string, string>> = {}
  pair.runner.programs.set('code', {
    version: '1',
    async run({ request, signal }) {
      ;({ env } = request)
      const { VARVE_SERVER, VARVE_PROJECT_NAME, VARVE_REPO, VARVE_BRANCH, VARVE_TOKEN } = env
      const repo = `${VARVE_SERVER}/api/v1/projects/${VARVE_PROJECT_NAME}/repos/${VARVE_REPO}`
      await fetch(`${repo}/branches/${VARVE_BRANCH}/file?path=/written`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${VARVE_TOKEN}` },
        body: 'by code',
      })
      signal.addEventListener('abort', () => (dead = true))
      await new Promise(() => {})
    },
  })
  const stop = new AbortController()
  const link = { server: server.url, token: worker.token, pool: 'default', random: systemRandom }
  const api = new HttpWorkerApi({ ...link, clock: fast, stopping: stop.signal })
  const { runner, scratch } = pair
  const guests = { api, runner, scratch, clock: fast, worker: 'agent', server: server.url }
  const working = new Agent(guests).run(stop.signal)
  const written = () => ask('GET', 'out/commits/news/file?path=/written', { as: TOKEN })
  await expect.poll(async () => (await written()).text, PATIENT).toBe('by code')
  expect((await ask('GET', 'out/branches/news', { as: env['VARVE_TOKEN'] ?? '' })).status).toBe(200)

  const commit = { repo: 'out', branch: RUNS_BRANCH, id: given.claim.job }
  const request = { id: ids(), principal: 'user:test' }
  await versions.propose(PROJECT, [{ op: 'job.stop', commit }], request)
  await expect.poll(() => dead, PATIENT).toBe(true)
  await expect
    .poll(async () => (await versions.job(PROJECT, 'out', commit.id))?.state, PATIENT)
    .toBe('stopped')
  clock.aheadMs += 2_001
  expect((await ask('GET', 'out/branches/news', { as: env['VARVE_TOKEN'] ?? '' })).status).toBe(401)
  stop.abort()
  await working
})
