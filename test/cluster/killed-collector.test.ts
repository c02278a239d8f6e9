// A cluster whose collecting process is killed in the middle of collection, again and again, and whose API is
// killed while people write through it: nothing that was acknowledged is lost, and in the end all garbage is
// gone.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isVarveError } from '../../src/base/errors.ts'
import { Client } from '../../src/client/client.ts'
import { collectAll, collectGarbage, expectWhole, KnownRepo } from '../e2e/known-repo.ts'
import { noise } from '../objects/fixture.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { effectsEnv, orderEffect, struckBy, withdrawOrder } from '../services/kill-effect.ts'
import type { EffectOrder } from '../services/kill-effect.ts'
import { s3Available } from '../services/s3.ts'
import type { Cluster } from './cluster.ts'
import { KilledCluster } from './killed-cluster.ts'
import type { RoleProcess } from './role-process.ts'

/** Of the collector, in this order; what one leaves behind the next one meets. */
const COLLECTOR: readonly EffectOrder[] = [
  { of: 'rows condemned', at: 1, when: 'after' },
  { of: 'object put packs', at: 1, when: 'after' },
  { of: 'rows forwards', at: 1, when: 'after' },
  { of: 'object deleted packs', at: 1, when: 'before' },
  { of: 'object deleted packs', at: 1, when: 'after' },
]
/** Of the API, beside them. */
const API: readonly EffectOrder[] = [
  { of: 'object put packs', at: 2, when: 'before' },
  { of: 'object put packs', at: 3, when: 'after' },
]
const LIMIT_MS = 120_000

describe.skipIf(!kafkaAvailable || !cassandraAvailable || !s3Available)('killed collector', () => {
  let world: KilledCluster
  let cluster: Cluster

  beforeAll(async () => {
    world = await KilledCluster.start('collected', 0)
    cluster = world.cluster
  })

  afterAll(() => world?.stop())

  const orders = (who: string): string => join(world.folder, `orders-${who}`)

  /** An API of its own that ends at an effect when it is ordered to, and is started again. */
  async function begin(who: string): Promise<RoleProcess> {
    mkdirSync(orders(who))
    const process = await world.beginApi(who, effectsEnv(orders(who)))
    await process.ready(LIMIT_MS)
    return process
  }

  const clientOf = ({ url }: RoleProcess): Client =>
    new Client({ baseUrl: String(url), token: cluster.token })

  async function killed(process: RoleProcess, order: EffectOrder): Promise<void> {
    const at = orders(process.name)
    await process.ready(LIMIT_MS)
    orderEffect(at, order)
    await struckBy(at, () => process.tail())
    const ends = process.ends.length
    while (process.alive && process.ends.length === ends) await sleep(20)
    withdrawOrder(at)
  }

  /** An author whose server was killed sends again, until it was not killed meanwhile. */
  async function goOn(through: RoleProcess, repo: KnownRepo): Promise<void> {
    for (let ends = -1; ends !== through.ends.length;) {
      await through.ready(LIMIT_MS)
      ends = through.ends.length
      await repo
        .goOn(() => true)
        .catch((error: unknown) => {
          if (!isVarveError(error, 'UNAVAILABLE')) throw error
          ends = -1
        })
    }
  }

  test('whatever it is killed at: nothing acknowledged is lost, and all garbage goes', async () => {
    const [api, collector] = await Promise.all([begin('api'), begin('collector')])
    const [steady] = cluster.of('api') as [RoleProcess]
    let busy = true
    /** Commits of few contents, so that what one throws away another writes again. */
    const write = async (through: RoleProcess, repo: KnownRepo, seed: number): Promise<number> => {
      const mine: string[] = []
      for (let n = 0; busy; n++) {
        const at = n
        const content = (some: number): Uint8Array => noise(some % 7, 30_000)
        try {
          const files = {
            [`f${at % 3}`]: content(seed + at),
            [`d/g${at % 2}`]: content(3 * at),
            big: noise(1_000 * seed + at, at % 4 === 0 ? 200_000 : 2_000),
          }
          mine.push(await repo.put('master', files))
          const old = mine.length > 3 ? mine.shift() : undefined
          if (old !== undefined) await repo.drop(old)
        } catch (error) {
          // Its server was killed: what it does not know it sends again.
          if (through === steady) throw error
          await goOn(through, repo)
        }
      }
      return mine.length
    }
    const writers = [steady, steady, api, api].map((through, n) => ({
      through,
      repo: new KnownRepo(() => clientOf(through), `r${n}`),
    }))
    for (const { repo } of writers) await repo.make()
    const writing = Promise.all(writers.map(({ through, repo }, n) => write(through, repo, n)))
    writing.catch(() => (busy = false))

    const shaking = (async () => {
      for (const order of API) await killed(api, order)
    })()
    for (const order of COLLECTOR) {
      await collector.ready(LIMIT_MS)
      const struck = killed(collector, order)
      let isOver = false
      void struck.finally(() => (isOver = true))
      // A round in which nothing of that kind was to be done ends well.
      while (!isOver) await collectGarbage(clientOf(collector)).catch(() => sleep(50))
      await struck
    }
    await shaking
    busy = false
    await writing

    for (const { through, repo } of writers) {
      await goOn(through, repo)
      expect(await repo.check()).toBeGreaterThan(2)
    }
    await expectWhole(clientOf(steady))
    expect(await collectAll(clientOf(steady))).toBeGreaterThan(0)
    for (const { repo } of writers) await repo.check()
    await expectWhole(clientOf(steady))
    expect(collector.ends).toHaveLength(COLLECTOR.length)
    expect(api.ends).toHaveLength(API.length)
  })
})
