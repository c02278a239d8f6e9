// What people get wrong, and what then happens: a clear error with code and remedy, nothing lost.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { idSource } from '../../src/model/id.ts'
import { Product } from './product.ts'

let product: Product
beforeAll(async () => {
  product = await Product.start()
  await product.varve(['repo', 'create', 'events'])
  await product.varve(['file', 'put', 'events@master:/kept.txt', '-f', '-'], 'kept')
})
afterAll(async () => {
  await product[Symbol.asyncDispose]()
})

test('bad input: an unknown repo ends with 3, names the near one and how to list', async () => {
  const ran = await product.cli(['file', 'ls', 'evnets@master'])
  expect(ran.code).toBe(3)
  expect(ran.stdout).toBe('')
  expect(ran.stderr).toContain('NOT_FOUND_REPO')
  expect(ran.stderr).toContain('events')
  expect(ran.stderr).toContain('varve repo list')
})

test('bad input: a malformed spec is refused with line, column and the field that was meant', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-spec-'))
  const file = join(folder, 'bad.yaml')
  writeFileSync(
    file,
    [
      'pipeline: {name: count}',
      'input: {pfs: {repo: events, glob: "/*"}}',
      'trasnform:',
      '  cmd: [cat]',
      '',
    ].join('\n'),
  )
  const ran = await product.cli(['apply', '-f', file])
  rmSync(folder, { recursive: true })
  expect(ran.code).toBe(2)
  expect(ran.stderr).toContain('INVALID_SPEC')
  expect(ran.stderr).toMatch(/line 3\b.*column 1\b/s)
  expect(ran.stderr).toContain('transform')
  expect(await product.varve(['pipeline', 'list', '-o', 'name'])).not.toContain('count')
})

test('bad input: a path that climbs out is refused as a path, over HTTP too', async () => {
  const answer = await product.fetch(
    `/projects/default/repos/events/branches/master/file?path=${encodeURIComponent('../../etc/passwd')}`,
    { method: 'PUT', body: 'x' },
  )
  expect(answer.status).toBe(400)
  expect(answer.headers.get('content-type')).toContain('application/problem+json')
  expect(await answer.json()).toMatchObject({ code: 'INVALID_PATH', remedy: expect.any(String) })
})

test('bad input: an id answers the same request for ever and refuses another', async () => {
  const id = idSource(systemClock, systemRandom)()
  const put = (body: string): Promise<Response> =>
    product.fetch('/projects/default/repos/events/branches/master/file?path=/once.txt', {
      method: 'PUT',
      body,
      headers: { 'idempotency-key': id },
    })
  const first = await put('one')
  expect(first.status).toBeLessThan(300)
  const again = await put('one')
  expect(again.status).toBeLessThan(300)
  expect(await again.json()).toEqual(await first.json())
  const other = await put('two')
  expect(other.status).toBe(409)
  expect(await other.json()).toMatchObject({ code: 'KEY_REUSED' })
  expect(await product.varve(['file', 'get', 'events@master:/once.txt'])).toBe('one')
})

test('bad input: an Idempotency-Key that is no UUIDv7 says so', async () => {
  const answer = await product.fetch('/projects/default/repos', {
    method: 'POST',
    body: JSON.stringify({ name: 'r' }),
    headers: { 'idempotency-key': 'hello', 'content-type': 'application/json' },
  })
  expect(answer.status).toBe(400)
  expect(((await answer.json()) as { detail: string }).detail).toContain('UUIDv7')
})

test('bad input: without the token nothing is answered but the health checks', async () => {
  expect((await fetch(`${product.url}/api/v1/projects/default/repos`)).status).toBe(401)
  expect((await fetch(`${product.url}/livez`)).status).toBe(200)
})

test('bad input: a second server on the same data is refused by name', async () => {
  await expect(new Product(product.data).start()).rejects.toThrow('DATA_IN_USE')
  // The refused one must not have touched what the first one publishes about itself.
  expect(await product.varve(['repo', 'list', '-o', 'name'])).toContain('events')
})

test('big file: 2 GiB go in and out whole, in at most 512 MB of memory', async () => {
  await using big = await Product.start()
  await big.varve(['repo', 'create', 'big'])
  const size = 2 ** 31
  const block = 4 * 2 ** 20
  const { createHash } = await import('node:crypto')
  const random = idBlock()
  const sent = createHash('sha256')
  async function* content(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < size; at += block) {
      random.writeUInt32LE(at / block, 0) // every block differs, none can be deduplicated away whole
      sent.update(random)
      yield Uint8Array.from(random)
    }
  }
  const put = await big.fetch('/projects/default/repos/big/branches/master/file?path=/two-gib', {
    method: 'PUT',
    body: ReadableStream.from(content()),
    duplex: 'half',
  } as RequestInit)
  expect(put.status, await put.clone().text()).toBeLessThan(300)
  const got = createHash('sha256')
  const answer = await big.fetch('/projects/default/repos/big/commits/master/file?path=/two-gib')
  let received = 0
  for await (const part of answer.body as unknown as AsyncIterable<Uint8Array>) {
    got.update(part)
    received += part.length
  }
  expect(received).toBe(size)
  expect(got.digest('hex')).toBe(sent.digest('hex'))
  expect(big.peakRssBytes).toBeLessThanOrEqual(512 * 1e6)

  function idBlock(): Buffer {
    const bytes = Buffer.alloc(block)
    for (let i = 0; i < block; i += 4) bytes.writeUInt32LE((Math.random() * 2 ** 32) >>> 0, i)
    return bytes
  }
})

// A mount of its own needs root; CI has it.
test.skipIf(process.getuid?.() !== 0 && process.env['CI'] === undefined)(
  'disk full: the write is refused, nothing acknowledged is lost, reads go on, room lets writes go on',
  async () => {
    const data = mkdtempSync(join(tmpdir(), 'varve-full-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', data])
    const full = new Product(join(data, 'store'))
    try {
      mkdirSync(full.data)
      await full.start()
      await full.varve(['repo', 'create', 'r'])
      await full.varve(['file', 'put', 'r@master:/before.txt', '-f', '-'], 'before')
      const noise = Buffer.alloc(64 * 2 ** 20)
      for (let i = 0; i < noise.length; i += 4)
        noise.writeUInt32LE((Math.random() * 2 ** 32) >>> 0, i)
      const refused = await full.cli(['file', 'put', 'r@master:/noise', '-f', '-'], noise)
      expect(refused.code).toBe(5)
      expect(refused.stderr).toContain('DISK_FULL')
      expect(refused.stderr).toContain('free space')
      expect(await full.varve(['file', 'get', 'r@master:/before.txt'])).toBe('before')
      execFileSync('mount', ['-o', 'remount,size=256m', data])
      await full.varve(['file', 'put', 'r@master:/after.txt', '-f', '-'], 'after')
      expect(await full.varve(['file', 'ls', 'r@master', '-o', 'name'])).not.toContain('noise')
      await full.kill()
      await full.start()
      expect(await full.varve(['file', 'get', 'r@master:/before.txt'])).toBe('before')
      expect(await full.varve(['file', 'get', 'r@master:/after.txt'])).toBe('after')
    } finally {
      await full.kill()
      execFileSync('umount', ['-l', data])
      rmSync(data, { recursive: true, force: true })
    }
  },
)
