// Big files that workers fetch from the store themselves: right whatever the store sends, and nothing
// but what their claim names.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { InputRun } from '../../src/api/worker-runs.ts'
import type { Claim } from '../../src/api/worker.ts'
import { must } from '../../src/base/assert.ts'
import { concat, equalBytes, fromHex, toHex } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import { HttpWorkerApi } from '../../src/client/worker-api.ts'
import type { Program } from '../../src/exec/adapters/inline/runner.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { parsePath } from '../../src/model/path.ts'
import type { Address, Fault } from '../blob/addressed.ts'
import { AddressedBlobStore } from '../blob/addressed.ts'
import { hash, noise, prose } from '../objects/fixture.ts'
import { PROJECT, spec } from '../pipelines/world.ts'
import type { World as Pipelines } from '../pipelines/world.ts'
import { ByHand, issue, openPipelines, serve } from './worker-world.ts'
import type { World as Server } from './world.ts'

const MIB = 1 << 20
const secret = noise(1, 30_000)
const files: Record<string, Uint8Array> = {
  'd/noise': noise(2, 12 * MIB),
  'd/prose': prose(3, 3 * MIB),
  'd/little': noise(4, 900_000),
}
const code: Program = { version: '1', run: () => 0 }
const { token } = issue('default', 1000)

let store: AddressedBlobStore
let pipelines: Pipelines
let server: Server
/** Requests to the API by route, and what files are said to have come through it for. */
let asked: Record<string, number> = {}
let troubles: unknown[] = []

beforeAll(async () => {
  store = await AddressedBlobStore.start()
  ;({ pipelines } = await openPipelines({ code }, 1, store))
  server = await serve(pipelines.desk)
  await pipelines.put(spec('out', 'in', ['code'], { input: { pfs: { repo: 'in', glob: '/d' } } }))
  const request = { id: pipelines.core.ids(), principal: 'user:test' }
  await pipelines.core.versions.commitFiles(
    PROJECT,
    { repo: 'in', branch: 'master' },
    async (writer) => {
      await writer.put(parsePath('secret/0'), secret)
      await writer.put(parsePath('secret/1'), noise(5, 30_000))
      for (const [path, bytes] of Object.entries(files)) await writer.put(parsePath(path), bytes)
    },
    request,
  )
})
beforeEach(() => {
  asked = {}
  troubles = []
  store.fault = () => undefined
  store.made.length = 0
  store.served.length = 0
})
afterAll(async () => {
  await server.close()
  await pipelines.close()
  store.stop()
})

/** A worker that has the chunk for as long as `work` takes, and has listed its files. */
async function withClaim(work: (api: HttpWorkerApi, claim: Claim) => Promise<void>): Promise<void> {
  const api = new HttpWorkerApi({
    server: server.url,
    token,
    pool: 'default',
    clock: systemClock,
    random: systemRandom,
    fetch: (input, init) => {
      const { origin, pathname } = new URL(input as string)
      const route = origin === server.url ? pathname.replace('/api/v1/worker/', '') : 'the store'
      asked[route] = (asked[route] ?? 0) + 1
      return fetch(input, init)
    },
    direct: {
      hash,
      decompress: (bytes, sizeBytes) => zstdCompute.decompress(bytes, sizeBytes),
      trouble: (error) => void troubles.push(isVarveError(error) ? error.code : error),
    },
  })
  const claim = must(await api.claim('w', 30_000, new AbortController().signal), 'claim')
  try {
    const listed = await Array.fromAsync(api.files(claim, 'in', 'd'))
    expect(listed.map(({ path }) => path)).toEqual(Object.keys(files).toSorted())
    await work(api, claim)
  } finally {
    await api.giveBack(claim)
  }
}

async function expectRight(api: HttpWorkerApi, claim: Claim, path: string): Promise<void> {
  const came = concat(await Array.fromAsync(api.read(claim, 'in', path)))
  expect(equalBytes(came, must(files[path], path)), path).toBe(true)
}

test('big files come from the store, small ones through the API, and no byte of others', async () => {
  await withClaim(async (api, claim) => {
    await Promise.all(Object.keys(files).map((path) => expectRight(api, claim, path)))
    expect(asked).toMatchObject({ read: 1, runs: 2 })
    expect(asked['runs/check']).toBeGreaterThan(3)
    expect(troubles).toEqual([])
  })
  const served = store.served.map(({ range }) => must(range, 'range'))
  expect(served.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(11 * MIB)
  expect(Math.max(...served.map(({ length }) => length))).toBeLessThan(8 * MIB + 10_000)
  for (const address of store.served) {
    const bytes = Buffer.from(must(await store.get(address.key, address.range), 'range'))
    expect(bytes.includes(Buffer.from(secret.subarray(1_000, 1_064)))).toBe(false)
  }
})

/** Whether it is the second range of the file: a first one that came is progress. */
const isSecond = ({ range }: Address): boolean => range?.offset === store.made[1]?.range?.offset

test.each<Fault>(['flip', 'refuse', 'cut', 'too long'])(
  'a range that fails once (%s) is fetched again, by a new address',
  async (fault) => {
    let faults = 0
    store.fault = (address) => (isSecond(address) && faults++ === 0 ? fault : undefined)
    await withClaim((api, claim) => expectRight(api, claim, 'd/noise'))
    expect(faults).toBe(2)
    expect(asked['runs']).toBe(2)
    expect(asked['read']).toBeUndefined()
    expect(troubles).toEqual([])
  },
)

test('addresses that have run out are made again', async () => {
  let over = 0
  store.fault = (address) => {
    // As if a slow worker came to it after its time, with all that were made before the second round.
    const isOver = store.made.indexOf(address) > 0 && asked['runs'] === 1
    if (isOver) over++
    return isOver ? 'refuse' : undefined
  }
  await withClaim((api, claim) => expectRight(api, claim, 'd/noise'))
  expect(over).toBeGreaterThan(0)
  expect(asked).toMatchObject({ runs: 2 })
  expect(asked['read']).toBeUndefined()
})

test.each<[Fault, string]>([
  ['flip', 'CORRUPT'],
  ['refuse', 'UNAVAILABLE'],
])('what keeps failing (%s) comes through the API from there on, once', async (fault, cause) => {
  store.fault = (address) => (isSecond(address) ? fault : undefined)
  await withClaim(async (api, claim) => {
    await expectRight(api, claim, 'd/noise')
    expect(asked).toMatchObject({ runs: 2, read: 1 })
    expect(troubles).toEqual([cause])
  })
})

test('a store out of reach is left alone for a while', async () => {
  store.fault = () => 'refuse'
  await withClaim(async (api, claim) => {
    await expectRight(api, claim, 'd/noise')
    const before = asked['the store']
    await expectRight(api, claim, 'd/prose')
    expect(asked).toMatchObject({ runs: 1, read: 2, 'the store': before })
    expect(troubles).toEqual(['UNAVAILABLE'])
  })
})

test('a reader that stops early leaves nothing running, and the next one has room', async () => {
  await withClaim(async (api, claim) => {
    for (let i = 0; i < 6; i++)
      for await (const bytes of api.read(claim, 'in', 'd/noise')) {
        expect(bytes.length).toBeGreaterThan(0)
        break
      }
    await expectRight(api, claim, 'd/noise')
    expect(asked['read']).toBeUndefined()
  })
})

test('a store without addresses is found out once', async () => {
  const other = await openPipelines({ code })
  const there = await serve(other.pipelines.desk)
  await other.pipelines.put(spec('out', 'in', ['code']))
  const text = 'a line of a big file\n'.repeat(100_000)
  await other.pipelines.commit('in', { big: text })
  const urls: string[] = []
  const api = new HttpWorkerApi({
    server: there.url,
    token,
    pool: 'default',
    clock: systemClock,
    random: systemRandom,
    fetch: (input, init) => {
      urls.push(new URL(input as string).pathname.slice('/api/v1/worker/'.length))
      return fetch(input, init)
    },
    direct: { hash, decompress: () => Promise.reject(new Error('nothing to open')) },
  })
  const claim = must(await api.claim('w', 30_000, new AbortController().signal), 'claim')
  for (let i = 0; i < 2; i++) {
    const came = Buffer.concat(await Array.fromAsync(api.read(claim, 'in', 'big')))
    expect(came.toString() === text).toBe(true)
  }
  expect(urls).toEqual(['claim', 'runs', 'read', 'read'])
  await there.close()
  await other.pipelines.close()
})

test('nothing but the files of the claim is located, and only what is right is said to be', async () => {
  const worker = new ByHand(server, token)
  const { ticket } = await worker.claim()
  const locate = (path: string, more: { ticket?: string } = { ticket }) =>
    worker.ask('GET /worker/runs', { ...more, query: { input: 'in', path } })
  for (const path of ['secret/0', 'secret', 'd2', 'dd/noise'])
    expect(await locate(path)).toMatchObject({ status: 403, code: 'FORBIDDEN' })
  expect(await locate('d/../secret/0')).toMatchObject({ code: 'INVALID_PATH' })
  expect(await locate('d/none')).toMatchObject({ code: 'NOT_FOUND_PATH' })
  expect(await locate('d/noise', {})).toMatchObject({ code: 'FORBIDDEN' })
  const other = new ByHand(server, issue('default', 1000).token)
  const query = { input: 'in', path: 'd/noise' }
  expect(await other.ask('GET /worker/runs', { ticket, query })).toMatchObject({
    code: 'FORBIDDEN',
  })

  const answer = await locate('d/noise')
  const runs = answer.body.trimEnd().split('\n')
  expect(runs.length).toBeGreaterThan(2)
  const parsed = runs.map((line) => JSON.parse(line) as InputRun)
  const [run, next] = parsed as [InputRun, InputRun]
  // All of the first run, as the file has it.
  const whole = must(files['d/noise'], 'noise')
  let at = 0
  const hashes = run.chunks.map((chunk) => {
    const sizeBytes = 'bytes' in chunk ? atob(chunk.bytes).length : chunk.sizeBytes
    return toHex(hash(whole.subarray(at, (at += sizeBytes))))
  })
  for (const each of hashes)
    expect(answer.body).not.toContain(pipelines.desk.chunkId(fromHex(each)))
  const check = async (who: ByHand, body: unknown, of = ticket) =>
    (await who.ask('POST /worker/runs/check', { ticket: of, body })).json
  const { proof } = run
  expect(await check(worker, { proof, hashes })).toEqual({ ok: true })
  const [first = '', second = ''] = hashes
  for (const lie of [
    { proof, hashes: hashes.with(0, second) },
    { proof, hashes: [second, first, ...hashes.slice(2)] },
    { proof, hashes: hashes.slice(1) },
    { proof, hashes: [...hashes, first] },
    { proof, hashes: [] },
    { proof: next.proof, hashes },
    { proof: '', hashes },
  ])
    expect(await check(worker, lie)).toEqual({ ok: false })
  for (const bad of [{ proof, hashes: ['00'] }, { proof }, { hashes }])
    expect(await check(worker, bad)).toMatchObject({ code: 'INVALID_OPTION' })
  expect(await check(other, { proof, hashes })).toMatchObject({ code: 'FORBIDDEN' })
  // A proof is of one claim: given back and claimed again it is another.
  await worker.ask('POST /worker/give-back', { ticket })
  const again = await worker.claim()
  expect(await check(worker, { proof, hashes }, again.ticket)).toEqual({ ok: false })
  expect(await check(worker, { proof, hashes })).toMatchObject({ code: 'STALE_STATE' })
  await worker.ask('POST /worker/give-back', { ticket: again.ticket })
})
