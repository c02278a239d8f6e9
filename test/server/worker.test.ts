// What the routes of workers let through, asked by hand.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Claim } from '../../src/api/worker.ts'
import { must } from '../../src/base/assert.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import type { ClaimDesk } from '../../src/server/worker-claims.ts'
import { spec } from '../pipelines/world.ts'
import type { World as Pipelines } from '../pipelines/world.ts'
import type { World as Server } from './world.ts'
import { TOKEN } from './world.ts'
import type { Given } from './worker-world.ts'
import { ByHand, clock, issue, openPipelines, serve } from './worker-world.ts'

const code: Program = { version: '1', run: () => 0 }
let pipelines: Pipelines
let server: Server
let worker: ByHand
let other: ByHand
/** Two chunks of one datum each. */
let given: Given
let second: Given

beforeAll(async () => {
  ;({ pipelines } = await openPipelines({ code }))
  server = await serve(pipelines.desk)
  worker = new ByHand(server, issue('default', 1000).token)
  other = new ByHand(server, issue('default', 1000).token)
  await pipelines.put(spec('out', 'in', ['code'], { input: { pfs: { repo: 'in', glob: '/*' } } }))
  await pipelines.commit('in', { a: 'content of a', b: 'content of b', c: 'c', d: 'd' })
  given = await worker.claim()
  second = await worker.claim()
})
afterAll(async () => {
  await server.close()
  await pipelines.close()
})

const datum = (of: Given): Claim['datums'][number] => must(of.claim.datums[0], 'datum')
const path = (of: Given): string => must(datum(of).inputs[0], 'piece').path

describe('tokens', () => {
  const ask = (token: string, pool = 'default') =>
    new ByHand(server, token).ask('POST /worker/claim', { body: { worker: 'w', pool, waitMs: 0 } })

  test('none but a worker token of this cluster opens the routes of workers', async () => {
    const forged = worker.token.replace(/.$/, (end) => (end === 'A' ? 'B' : 'A'))
    const [, payload = '', mac = ''] = worker.token.split('.')
    const grant = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    const richer = Buffer.from(JSON.stringify({ ...grant, e: 9e15 })).toString('base64url')
    const elsewhere = await serve(pipelines.desk, 'the secret of quite another cluster')
    const made = await elsewhere.client.call('POST /worker-tokens', { body: {} })
    await elsewhere.close()
    for (const token of ['', 'x', TOKEN, forged, `vw1.${richer}.${mac}`, made.token, given.ticket])
      expect(await ask(token)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' })
  })

  test('one that ran out says so; one of another pool is refused, and names both', async () => {
    const short = issue('default', 60).token
    clock.aheadMs += 61_000
    const over = await ask(short)
    expect(over).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' })
    expect(over.body).toContain('ran out')
    expect(over.body).not.toContain(short)
    const wrong = await ask(issue('gpu', 1000).token)
    expect(wrong).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    expect(wrong.body).toMatch(/default.*gpu/)
  })

  test('a worker token opens nothing else, and makes no other', async () => {
    const headers = { authorization: `Bearer ${worker.token}` }
    for (const url of ['/projects', '/projects/default/repos', '/events', '/version?x=1'])
      expect((await server.raw(`/api/v1${url}`, { headers })).status).toBe(
        url.startsWith('/version') ? 400 : 401,
      )
    const made = await server.raw('/api/v1/worker-tokens', { method: 'POST', headers, body: '{}' })
    expect(made.status).toBe(401)
    const byToken = await server.raw(`/api/v1/worker/read?token=${worker.token}`)
    expect(byToken.status).toBe(401)
  })
})

describe('a claim', () => {
  const read = (who: ByHand, ticket: string, query: Record<string, string>) =>
    who.ask('GET /worker/read', { ticket, query })

  test('opens the files its datums name, from any byte on, and no other', async () => {
    const input = 'in'
    const name = path(given)
    const whole = await read(worker, given.ticket, { input, path: name })
    expect(whole.body).toBe(name.length === 1 && 'ab'.includes(name) ? `content of ${name}` : name)
    const tail = await read(worker, given.ticket, { input, path: name, offset: '1' })
    expect(tail.body).toBe(whole.body.slice(1))
    const end = await read(worker, given.ticket, {
      input,
      path: name,
      offset: String(whole.body.length),
    })
    expect(end).toMatchObject({ status: 200, body: '' })

    for (const query of [
      { input, path: path(second) },
      { input: 'out', path: name },
      { input: '', path: name },
      { input, path: `${name}x` },
    ])
      expect(await read(worker, given.ticket, query)).toMatchObject({ code: 'FORBIDDEN' })
    for (const bad of ['../a', 'x/../a', '', '/', '.', 'a\0'])
      expect(await read(worker, given.ticket, { input, path: bad })).toMatchObject({
        code: 'INVALID_PATH',
      })
    const together = (...paths: string[]) =>
      worker.ask('POST /worker/read-files', {
        ticket: given.ticket,
        body: { files: paths.map((each) => ({ input, path: each })) },
      })
    expect((await together(name)).body).toBe(
      `${JSON.stringify({ of: input, path: name, sizeBytes: whole.body.length })}\n${whole.body}`,
    )
    expect(await together(name, path(second))).toMatchObject({ code: 'FORBIDDEN' })
    expect(await together('../a')).toMatchObject({ code: 'INVALID_PATH' })
    const below = await read(worker, given.ticket, { input, path: `${name}/x` })
    expect(below).toMatchObject({ status: 404, code: 'NOT_FOUND_PATH' })
    const all = await worker.ask('GET /worker/files', {
      ticket: given.ticket,
      query: { input, path: '' },
    })
    expect(all.code).toBe('FORBIDDEN')
  })

  test('is nothing to another token, without its seal, or changed', async () => {
    const query = { input: 'in', path: path(given) }
    const [payload = '', mac = ''] = given.ticket.split('.')
    const claim = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { n: number }
    const next = Buffer.from(JSON.stringify({ ...claim, n: claim.n + 1 })).toString('base64url')
    for (const ticket of ['', payload, `${payload}.`, `${next}.${mac}`, worker.token])
      expect(await read(worker, ticket, query)).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    expect(await read(other, given.ticket, query)).toMatchObject({ code: 'FORBIDDEN' })
    const body = { worker: 'w', beat: 1, keeps: [given.ticket] }
    expect((await other.ask('POST /worker/beat', { body })).json).toEqual({ lost: [0] })
    expect((await worker.ask('POST /worker/beat', { body })).json).toEqual({ lost: [] })
  })

  test('takes output of its own datums only, in order, each act once', async () => {
    const { id } = datum(given)
    const { ticket } = given
    expect(await worker.put(ticket, 0, datum(second).id, 'x', '')).toMatchObject({
      code: 'FORBIDDEN',
    })
    expect(await worker.put(ticket, 0, id, '../x', '')).toMatchObject({ code: 'INVALID_PATH' })
    expect((await worker.put(ticket, 0, id, 'x', 'one')).status).toBe(204)
    // Asked again, also with other bytes: it was done.
    expect((await worker.put(ticket, 0, id, 'x', 'two')).status).toBe(204)
    expect(await worker.put(ticket, 2, id, 'y', '')).toMatchObject({ code: 'STALE_STATE' })
    const together = (of: string, at: string, more = '') => {
      const body = `${JSON.stringify({ of, path: at, sizeBytes: 2 })}\nhi${more}`
      return worker.ask('POST /worker/output/put-files', { ticket, query: { act: '1' }, body })
    }
    expect(await together(datum(second).id, 'x')).toMatchObject({ code: 'FORBIDDEN' })
    expect(await together(id, '../x')).toMatchObject({ code: 'INVALID_PATH' })
    expect(await together(id, 'x', '{"of":')).toMatchObject({ code: 'UNAVAILABLE' })
    expect(await together(id, 'x', 'x'.repeat(9_000))).toMatchObject({ code: 'INVALID_OPTION' })
    const copy = { act: 1, datum: id, path: 'z', input: 'in', inputPath: path(second) }
    expect(await worker.ask('POST /worker/output/copy', { ticket, body: copy })).toMatchObject({
      code: 'FORBIDDEN',
    })
    const lines = [{ atMs: 1, datum: datum(second).id, attempt: 1, stream: 'stdout', text: 't' }]
    expect(
      await worker.ask('POST /worker/lines', { ticket, body: { batch: 0, lines } }),
    ).toMatchObject({ code: 'FORBIDDEN' })
  })

  test('ends with one result for each datum, which says nothing of the plan', async () => {
    const { ticket } = given
    const none = await worker.ask('POST /worker/output/finish', { ticket, query: { act: '1' } })
    expect(none).toMatchObject({ code: 'INVALID_OPTION' })
    expect(await worker.finish(given, 1, { key: 'k' })).toMatchObject({ code: 'INVALID_OPTION' })
    expect(await worker.finish(given, 1, { state: 'skipped' })).toMatchObject({
      code: 'INVALID_OPTION',
    })
    const finished = await worker.finish(given, 1)
    expect(finished.status).toBe(200)
    // Its answer was lost.
    expect((await worker.finish(given, 1)).json).toEqual(finished.json)

    const done = (body: unknown) => worker.ask('POST /worker/done', { ticket, body })
    const foreign = { ...finished.json, tree: datum(given).inputs[0]?.digest }
    expect(await done(foreign)).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    expect((await done(finished.json)).json).toEqual({ counts: true })
    expect((await done(finished.json)).json).toEqual({ counts: true })
    expect(await worker.put(ticket, 2, datum(given).id, 'late', '')).toMatchObject({
      code: 'STALE_STATE',
    })
  })

  test('goes on at another server and after a restart; what was put out does not', async () => {
    const { ticket } = second
    const { id } = datum(second)
    expect((await worker.put(ticket, 0, id, 'x', 'one')).status).toBe(204)
    const restarted = await serve(pipelines.desk)
    const there = new ByHand(restarted, worker.token)
    const query = { input: 'in', path: path(second) }
    expect((await there.ask('GET /worker/read', { ticket, query })).status).toBe(200)
    expect(await there.put(ticket, 1, id, 'y', '')).toMatchObject({ code: 'STALE_STATE' })
    const finished = await worker.finish(second, 1)
    const done = { ticket, body: finished.json }
    expect((await there.ask('POST /worker/done', done)).json).toEqual({ counts: true })
    await restarted.close()
  })

  test('that somebody else has by now is refused in everything, and its result does not count', async () => {
    const zombie = await worker.claim()
    const { ticket, claim } = zombie
    expect((await worker.put(ticket, 0, datum(zombie).id, 'x', 'of the zombie')).status).toBe(204)
    const finished = await worker.finish(zombie, 1)
    expect(finished.status).toBe(200)
    const [row] = [await pipelines.rows.get(claim)]
    const lease = { owner: must(row?.owner, 'owner'), token: must(row?.token, 'token') }
    expect(await pipelines.rows.reopen(claim, lease)).toBe(true)
    clock.aheadMs += 3_000

    const query = { input: 'in', path: path(zombie) }
    const stale = { status: 409, code: 'STALE_STATE' }
    expect(await worker.ask('GET /worker/read', { ticket, query })).toMatchObject(stale)
    expect(await worker.ask('GET /worker/files', { ticket, query })).toMatchObject(stale)
    expect(await worker.put(ticket, 2, datum(zombie).id, 'x', '')).toMatchObject(stale)
    const progress = { ticket, body: { done: 1, failed: 0 } }
    expect(await worker.ask('POST /worker/progress', progress)).toMatchObject(stale)
    const body = { worker: 'w', beat: 9, keeps: [ticket] }
    expect((await worker.ask('POST /worker/beat', { body })).json).toEqual({ lost: [0] })
    const done = { ticket, body: finished.json }
    expect((await worker.ask('POST /worker/done', done)).json).toEqual({ counts: false })
    expect((await worker.ask('POST /worker/give-back', { ticket })).status).toBe(204)
    expect((await pipelines.rows.get(claim))?.state).toBe('ready')
  })

  test('answered to a worker that has gone is given back', async () => {
    let waiting: AbortSignal | undefined
    const work = Promise.withResolvers<Claim | undefined>()
    const back: unknown[] = []
    const desk = {
      claim: (_worker: string, _waitMs: number, signal: AbortSignal) => {
        waiting = signal
        return work.promise
      },
      giveBack: (claim: unknown) => Promise.resolve(void back.push(claim)),
    } as unknown as ClaimDesk
    const slow = await serve(desk)
    const gone = new AbortController()
    const asking = fetch(`${slow.url}/api/v1/worker/claim`, {
      method: 'POST',
      headers: { authorization: `Bearer ${worker.token}` },
      body: JSON.stringify({ worker: 'w', pool: 'default', waitMs: 60_000 }),
      signal: gone.signal,
    })
    await expect.poll(() => waiting).toBeDefined()
    gone.abort()
    await expect(asking).rejects.toThrow()
    await expect.poll(() => waiting?.aborted).toBe(true)
    work.resolve(given.claim)
    await expect.poll(() => back).toEqual([given.claim])
    await slow.close()
  })
})
