// Uploads and downloads that break off in the middle, by the death of either side, and are gone on with.

import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PartView, UploadView } from '../../src/api/uploads.ts'
import { Client } from '../../src/client/client.ts'
import { ENTRY, Product } from './product.ts'

const SEGMENTS = 5
const UPLOADS = '/projects/:project/repos/:repo/branches/:branch/uploads'
const branch = { project: 'default', repo: 'big', branch: 'master' }

const folder = mkdtempSync(join(tmpdir(), 'varve-transfer-'))
const file = join(folder, 'big')
let product: Product
let port: string

beforeAll(async () => {
  const out = createWriteStream(file)
  // Odd, so that the last segment is not like the others.
  for (let mib = 0; mib < SEGMENTS * 64 - 7; mib++)
    if (!out.write(randomBytes(1 << 20))) await once(out, 'drain')
  out.end('the end')
  await once(out, 'close')
  port = String(await freePort())
  product = await Product.start({ args: ['--port', port] })
  await product.varve(['repo', 'create', 'big'])
})
afterAll(async () => {
  await product[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** The same after a restart: a client that waits finds its server again. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: free } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return free
}

const client = (): Client => new Client({ baseUrl: product.url, token: product.token })

async function uploads(): Promise<UploadView[]> {
  return Array.fromAsync(client().lines(`GET ${UPLOADS}`, { params: branch }))
}

async function parts({ upload }: UploadView): Promise<PartView[]> {
  const params = { ...branch, upload }
  return Array.fromAsync(client().lines(`GET ${UPLOADS}/:upload/parts`, { params }))
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** A command that is not waited for. */
function begun(...args: string[]) {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    env: { ...process.env, VARVE_SERVER: product.url, VARVE_TOKEN: product.token },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  let isOver = false
  const ended = (once(child, 'close') as Promise<[number | null]>).then(([code]) => {
    isOver = true
    return { code, said }
  })
  return { child, ended, hasEnded: () => isOver, said: () => said }
}

/** While the command runs: what it was to bring about does not come any more when it has ended. */
async function until<T>(
  run: ReturnType<typeof begun>,
  look: () => Promise<T | undefined>,
): Promise<T> {
  for (;;) {
    const ended = run.hasEnded()
    const found = await look()
    if (found !== undefined) return found
    if (ended) throw new Error(`it has ended: ${JSON.stringify(await run.ended)}`)
    await sleep(5)
  }
}

const put = ['file', 'put', 'big@master:/deep/big', '-f', file]

test('an upload goes on after the death of its client and of its server', async () => {
  const first = begun(...put)
  const upload = await until(first, async () => (await uploads()).find((one) => one.parts >= 1))
  first.child.kill('SIGKILL')
  await first.ended
  const safe = await parts(upload)
  expect(safe.length).toBeGreaterThanOrEqual(1)
  expect(safe.length).toBeLessThan(SEGMENTS)

  // The second run meets the death of the server, waits for it, and ends well.
  const second = begun(...put)
  await until(second, async () => {
    // What the first was sending when it was killed may have come through since.
    if (!second.said().includes('goes on: ')) return undefined
    const [now] = await uploads()
    return now && now.parts > safe.length ? now : undefined
  })
  await product.kill()
  await product.start(['--port', port])
  const { code, said } = await second.ended
  expect({ code, said }).toMatchObject({ code: 0 })
  expect(said).toContain('goes on: ')
  expect(await uploads()).toEqual([])

  const to = join(folder, 'back')
  await product.varve(['file', 'get', 'big@master:/deep/big', '--to', to])
  expect(await sha256(to)).toBe(await sha256(file))
  rmSync(to)
})

test('a download goes on where it broke off, and never from what is damaged', async () => {
  const to = join(folder, 'down')
  const get = ['file', 'get', 'big@master:/deep/big', '--to', to]
  const breakOff = async (): Promise<string> => {
    const run = begun(...get)
    const part = await until(run, async () =>
      readdirSync(folder).find((name) => /^down\.[0-9a-f]{16}\.varve-part$/.test(name)),
    )
    await until(run, async () => (statSync(join(folder, part)).size > 1 << 20 ? true : undefined))
    run.child.kill('SIGKILL')
    await run.ended
    return join(folder, part)
  }
  await breakOff()
  const again = await product.cli(get)
  expect(again).toMatchObject({ code: 0 })
  expect(again.stderr).toContain('goes on where an earlier run broke off')
  expect(await sha256(to)).toBe(await sha256(file))
  rmSync(to)

  const part = await breakOff()
  const handle = await open(part, 'r+')
  await handle.write(new Uint8Array(4096), 0, 4096, 8192)
  await handle.close()
  const mended = await product.cli(get)
  expect(mended).toMatchObject({ code: 0 })
  expect(mended.stderr).toContain('damaged: it starts anew')
  expect(await sha256(to)).toBe(await sha256(file))
  expect(readdirSync(folder).toSorted()).toEqual(['big', 'down'])
})

test('a tree goes on after the deaths of its client and of its server', async () => {
  const names = Array.from({ length: 3_000 }, (_, i) => `many/d${i % 7}/f${i}`)
  const small = join(folder, 'small')
  for (let i = 0; i < 7; i++) mkdirSync(join(small, `many/d${i}`), { recursive: true })
  for (const [i, name] of names.entries()) writeFileSync(join(small, name), `${name} `.repeat(i))
  await product.varve(['file', 'put', 'big@master', '-r', '-f', small])
  const to = join(folder, 'tree')
  const get = ['file', 'get', 'big@master', '-r', '--to', to]
  const found = (pattern: RegExp): string[] =>
    existsSync(to)
      ? readdirSync(to, { recursive: true, encoding: 'utf8' }).filter((one) => pattern.test(one))
      : []
  // Killed among the many, and then in the middle of the big one.
  const first = begun(...get)
  await until(first, async () => found(/f\d+$/).length >= 100 || undefined)
  first.child.kill('SIGKILL')
  await first.ended
  const here = found(/f\d+$/)
  expect(here.length).toBeLessThan(names.length)
  for (const name of here)
    expect(readFileSync(join(to, name))).toEqual(readFileSync(join(small, name)))
  const partOf = (): string | undefined => found(/big\.[0-9a-f]{16}\.varve-part$/)[0]
  const isUnderWay = async (): Promise<true | undefined> => {
    const part = partOf()
    return part !== undefined && statSync(join(to, part)).size > 1 << 20 ? true : undefined
  }
  const second = begun(...get)
  await until(second, isUnderWay)
  second.child.kill('SIGKILL')
  await second.ended
  // The third meets the death of the server.
  const cutBytes = statSync(join(to, partOf() as string)).size
  const third = begun(...get)
  await until(third, async () => {
    const part = partOf()
    return part !== undefined && statSync(join(to, part)).size > cutBytes ? true : undefined
  })
  await product.kill()
  await product.start(['--port', port])
  const { code, said } = await third.ended
  expect({ code, said }).toMatchObject({ code: 0 })
  expect(said).toContain('"deep/big" goes on where an earlier run broke off')
  expect(said).toContain(`got 1 file into ${to}; 3,000 files there already`)
  expect(found(/./).filter((one) => !statSync(join(to, one)).isDirectory())).toHaveLength(3_001)
  for (const name of names)
    expect(readFileSync(join(to, name))).toEqual(readFileSync(join(small, name)))
  expect(await sha256(join(to, 'deep/big'))).toBe(await sha256(file))
})
