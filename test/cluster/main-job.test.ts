// The main job: records of a topic go through commits and a pipeline into another topic, and Java's
// client, which knows nothing of us, checks that none is lost, none doubled, and each key in order.
// Then the same while the whole product is killed again and again.
//
// VARVE_TEST_SEED: the seed of the kills, printed with the result.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { Product } from '../e2e/product.ts'
import { KafkaServer, java, kafkaAvailable, kcatCount } from '../services/kafka.ts'
import { missingTools } from '../services/need.ts'

const RECORDS = 100_000
const PARTITIONS = 4
const KEYS = 50
const KILLS = 12
/** What an egress records at least, and so what one kill may send twice. */
const EGRESS_BATCH = 10_000

let broker: KafkaServer

interface Verdict {
  readonly raw: number
  readonly rawDuplicates: number
  readonly lost: number
  readonly doubled: number
  readonly outOfOrder: number
  readonly partitionMoves: number
}

function produce(topic: string, pauseMs: number): Promise<string> {
  const sizes = [RECORDS, PARTITIONS, KEYS, pauseMs].map(String)
  return java('Verifier', 'produce', broker.address, topic, ...sizes)
}

async function verify(topic: string): Promise<Verdict> {
  const sizes = [RECORDS, KEYS].map(String)
  return JSON.parse(await java('Verifier', 'verify', broker.address, topic, ...sizes)) as Verdict
}

/** Spout, pipeline and egress from one topic to the other. */
function documents(from: string, to: string, commitRecords: number): string {
  return JSON.stringify([
    {
      spout: { name: 'orders' },
      source: { kafka: { 'bootstrap.servers': broker.address, topics: from } },
      target: 'orders@master',
      commit: { records: commitRecords, idle: '200ms' },
    },
    {
      pipeline: { name: 'passed' },
      input: { pfs: { repo: 'orders', glob: '/*/*/*' } },
      transform: {
        cmd: ['sh', '-c', 'cp -r "${PFS_ROOT:-/pfs}"/orders/. "${PFS_ROOT:-/pfs}"/out/'],
      },
    },
    {
      egress: { name: 'orders-out' },
      from: 'passed@master',
      sink: { kafka: { 'bootstrap.servers': broker.address, topic: to, key: '/key' } },
    },
  ])
}

interface EgressRow {
  readonly state: string
  readonly cause: string | null
  readonly deliveredRecords: number
}

async function egress(product: Product): Promise<EgressRow> {
  return JSON.parse(
    await product.varve(['egress', 'inspect', 'orders-out', '-o', 'json']),
  ) as EgressRow
}

/** Until every record is delivered; more would be a record doubled inside. */
async function delivered(product: Product): Promise<void> {
  for (;;) {
    const row = await egress(product)
    if (row.state !== 'running' || row.deliveredRecords >= RECORDS) return
    await sleep(500)
  }
}

describe.skipIf(!kafkaAvailable)('main job', () => {
  beforeAll(async () => {
    broker = await KafkaServer.start()
  })

  afterAll(async () => {
    await broker.stop()
  })

  test('topic to topic: 0 lost, 0 doubled, in order per key', async () => {
    await java('Verifier', 'create', broker.address, 'out', String(PARTITIONS))
    await produce('in', 0)
    await using product = await Product.start({ args: ['--no-demo'] })
    const startedMs = performance.now()
    await product.varve(['apply', '-f', '-'], documents('in', 'out', 10_000))
    await delivered(product)
    const tookMs = Math.round(performance.now() - startedMs)
    const row = await egress(product)
    expect(row).toMatchObject({ state: 'running', deliveredRecords: RECORDS })
    const verdict = await verify('out')
    console.log(`main job: ${RECORDS} records in ${tookMs} ms, ${JSON.stringify(verdict)}`)
    expect(verdict).toMatchObject({
      raw: RECORDS,
      rawDuplicates: 0,
      lost: 0,
      doubled: 0,
      outOfOrder: 0,
      partitionMoves: 0,
    })
    // A second reader that shares no code with the first.
    if (missingTools('kcat').length === 0)
      expect(await kcatCount(broker.address, 'out')).toEqual({ records: RECORDS, ids: RECORDS })
  })

  test(`killed ${KILLS} times on the way: 0 lost, 0 doubled, repeats bounded by a batch a kill`, async () => {
    const seed = Number(process.env['VARVE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const random = seededRandom(seed)
    console.log(`main job under kills: VARVE_TEST_SEED=${seed}`)
    await java('Verifier', 'create', broker.address, 'out-killed', String(PARTITIONS))
    await java('Verifier', 'create', broker.address, 'in-killed', String(PARTITIONS))
    let producing = true
    // The feed goes on while the kills come, so that each of them meets work.
    const fed = produce('in-killed', 500).finally(() => (producing = false))
    await using product = await Product.start({ args: ['--no-demo'] })
    await product.varve(['apply', '-f', '-'], documents('in-killed', 'out-killed', 2_000))
    let landed = 0
    while (landed < KILLS) {
      await sleep(100 + random.next() * 2_500)
      if (!producing && (await egress(product)).deliveredRecords >= RECORDS) break
      await product.kill('SIGKILL')
      landed++
      await product.start(['--no-demo'])
    }
    await fed
    await delivered(product)
    expect(await egress(product)).toMatchObject({ state: 'running', deliveredRecords: RECORDS })
    const verdict = await verify('out-killed')
    console.log(`main job under ${landed} kills: ${JSON.stringify(verdict)}`)
    expect(landed).toBe(KILLS)
    expect(verdict).toMatchObject({ lost: 0, doubled: 0, outOfOrder: 0, partitionMoves: 0 })
    expect(verdict.rawDuplicates).toBeLessThanOrEqual(landed * EGRESS_BATCH)
  })
})
