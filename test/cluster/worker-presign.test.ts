// A worker, the API and a bucket: the bytes of big input files go from the bucket to the worker.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { must } from '../../src/base/assert.ts'
import { concat, equalBytes } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { S3BlobStore } from '../../src/blob/adapters/s3/store.ts'
import { HttpWorkerApi } from '../../src/client/worker-api.ts'
import { zstdCompute } from '../../src/main/compute.ts'
import { parsePath } from '../../src/model/path.ts'
import { HttpFront } from '../blob/http-front.ts'
import { hash, noise, prose } from '../objects/fixture.ts'
import { PROJECT, spec } from '../pipelines/world.ts'
import type { World as Pipelines } from '../pipelines/world.ts'
import { issue, openPipelines, serve } from '../server/worker-world.ts'
import type { World as Server } from '../server/world.ts'
import { createBucket, s3Available, s3Options } from '../services/s3.ts'
import { shared } from '../services/shared.ts'

const BUCKET = 'varve-worker-presign'
const MIB = 1 << 20
const files = { noise: noise(1, 24 * MIB), prose: prose(2, 6 * MIB) }

let front: HttpFront
let store: S3BlobStore
let pipelines: Pipelines
let server: Server
/** Bytes of bodies that came to the worker, by who sent them. */
const bytesFrom: Record<string, number> = {}
const routes: string[] = []

const counting: typeof fetch = async (input, init) => {
  const { origin, pathname } = new URL(input as string)
  if (origin === server.url) routes.push(pathname.replace('/api/v1/worker/', ''))
  const answer = await fetch(input, init)
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform: (bytes, controller) => {
      bytesFrom[origin] = (bytesFrom[origin] ?? 0) + bytes.length
      controller.enqueue(bytes)
    },
  })
  return new Response(answer.body?.pipeThrough(count) ?? null, {
    status: answer.status,
    headers: answer.headers,
  })
}

function hire(): HttpWorkerApi {
  return new HttpWorkerApi({
    server: server.url,
    token: issue('default', 1_000).token,
    pool: 'default',
    clock: systemClock,
    random: systemRandom,
    fetch: counting,
    direct: { hash, decompress: (bytes, size) => zstdCompute.decompress(bytes, size) },
  })
}

describe.runIf(s3Available)('a worker with nothing but addresses', () => {
  beforeAll(async () => {
    const endpoint = await shared('s3')
    await createBucket(endpoint, BUCKET)
    front = await HttpFront.start(endpoint)
    store = await S3BlobStore.open({
      ...s3Options(front.address, BUCKET),
      prefix: `run-${Date.now()}`,
    })
    ;({ pipelines } = await openPipelines({ code: { version: '1', run: () => 0 } }, 1, store))
    server = await serve(pipelines.desk)
    await pipelines.put(spec('out', 'in', ['code'], { input: { pfs: { repo: 'in', glob: '/' } } }))
    await pipelines.core.versions.commitFiles(
      PROJECT,
      { repo: 'in', branch: 'master' },
      async (writer) => {
        for (const [path, bytes] of Object.entries(files)) await writer.put(parsePath(path), bytes)
      },
      { id: pipelines.core.ids(), principal: 'user:test' },
    )
  })
  afterAll(async () => {
    await server.close()
    await pipelines.close()
    store.close()
    front.stop()
  })

  test('gets big files whole and right, and hardly a byte of them from the API', async () => {
    const api = hire()
    const claim = must(await api.claim('w', 60_000, new AbortController().signal), 'claim')
    const listed = await Array.fromAsync(api.files(claim, 'in', ''))
    expect(listed.map(({ path }) => path)).toEqual(['noise', 'prose'])
    // One of the ranges comes with a bit flipped.
    let flips = 0
    let beats = 0
    front.rule = ({ method, url }) =>
      method === 'GET' && url.includes('X-Amz-Signature') && flips++ === 3
        ? { flipAnswerByte: 1_000 }
        : undefined
    for (const [path, bytes] of Object.entries(files)) {
      const came = concat(await Array.fromAsync(api.read(claim, 'in', path)))
      expect(equalBytes(came, bytes), path).toBe(true)
      await api.beat('w', ++beats, [claim])
    }
    expect(front.spoilt).toBe(1)
    expect(routes).not.toContain('read')
    expect(routes.filter((route) => route === 'runs').length).toBe(3)
    expect(bytesFrom[front.address]).toBeGreaterThan(23 * MIB)
    expect(bytesFrom[server.url]).toBeLessThan(2 * MIB)
    await api.giveBack(claim)
  })
})
