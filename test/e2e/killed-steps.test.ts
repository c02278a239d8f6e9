// The embedded server, killed between any two steps of the worker in it, and started again over its data.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Client } from '../../src/client/client.ts'
import { killEnv, readMarker } from '../services/kill-at.ts'
import type { KillOrder, Step } from '../services/kill-at.ts'
import { CHUNK_DATUMS, KilledJob, marked } from './killed-job.ts'
import { Product } from './product.ts'

const CHUNKS = 6
const LIMIT_MS = 60_000

// In the second chunk, some datums into it where a step is a datum's.
const STEPS: readonly (readonly [Step, number])[] = [
  ['claimed', 2],
  ['laid-out', CHUNK_DATUMS + 4],
  ['run', CHUNK_DATUMS + 4],
  ['uploaded', 2],
  ['row-written', 2],
  ['published', 2],
  ['done', 2],
]

const folder = mkdtempSync(join(tmpdir(), 'varve-killed-'))
const marker = join(folder, 'marker')
const product = new Product()
let job: KilledJob

async function start(...orders: readonly KillOrder[]): Promise<void> {
  for (const [name, value] of Object.entries(killEnv(orders, { marker }))) vi.stubEnv(name, value)
  try {
    // The address stays, so that the client does.
    const port = product.url === '' ? [] : ['--port', new URL(product.url).port]
    await product.start(['--workers', '1', ...port])
  } finally {
    vi.unstubAllEnvs()
  }
}

beforeAll(async () => {
  await start()
  const client = new Client({ baseUrl: product.url, token: product.token })
  job = new KilledJob({ client, chunks: CHUNKS, folder })
  await product.varve(['repo', 'create', 'in'])
  await product.varve(['file', 'put', 'in@master:/', '-r', '-f', job.files])
  await product.kill()
})
afterAll(async () => {
  await product[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

// Each start goes on with the job of the step before, and ends at its own.
test('killed at any step and started again: no datum is lost or counts twice, what is done stays done', async () => {
  const check = async (step: Step): Promise<void> => {
    await job.finished(step, LIMIT_MS)
    const { strike } = readMarker(marker, step)
    expect(strike).toMatchObject({ step, pipeline: step })
    job.checkRuns(step, await job.check(step), strike ? [strike] : [])
  }
  let before: Step | undefined
  for (const [step, times] of STEPS) {
    await start({ step, times, pipeline: step })
    if (before) await check(before)
    await product.varve(['apply', '-f', '-'], job.spec(step))
    await marked(marker, step, () => product.output)
    // It ends itself: this waits until it is gone.
    await product.kill()
    before = step
  }
  await start()
  if (before) await check(before)
})
