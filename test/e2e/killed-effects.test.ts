// The embedded server on a real disk, killed before and after any durable effect of commits, of merges of
// those that came together, and of collection; and killed again while it collects what that left behind.
// What was acknowledged is there byte for byte, what was not is there whole or not at all.
//
// By default one of each kind of effect, before or after it, chosen by a seed (KILLED_EFFECTS_SEED=n others).
// KILLED_EFFECTS=n takes n of them all, `all` before and after every one, some 300, which takes long.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, test, vi } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { Client } from '../../src/client/client.ts'
import { checkFolder } from '../../src/main/check-folder.ts'
import { noise, prose } from '../objects/fixture.ts'
import { effectsEnv, orderEffect, withdrawOrder } from '../services/kill-effect.ts'
import type { EffectOrder } from '../services/kill-effect.ts'
import { collectAll, collectGarbage, everyOne, expectWhole, KnownRepo } from './known-repo.ts'
import { Product } from './product.ts'

const SEED = Number(process.env['KILLED_EFFECTS_SEED'] ?? 1)
const MANY = process.env['KILLED_EFFECTS']
const WRITERS = 6
/** So long one repo stays as it is; all of it is read each time. */
const KEPT_ROUNDS = 10
/** Of these every one was seen, or the script does not reach what it is about. */
const MUST_BE_SEEN = [
  'file write tmp',
  'file datasync tmp',
  'file renamed packs',
  'file sync packs',
  'file removed packs',
  'row log',
  'row runs',
  'row collections',
  'rows condemned',
  'rows forwards',
]

const folder = mkdtempSync(join(tmpdir(), 'varve-effects-'))
const product = new Product()
const client = (): Client => new Client({ baseUrl: product.url, token: product.token })
afterAll(async () => {
  await product[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

async function start(): Promise<void> {
  for (const [name, value] of Object.entries(effectsEnv(folder))) vi.stubEnv(name, value)
  try {
    await product.start(['--workers', '1'])
  } finally {
    vi.unstubAllEnvs()
  }
}

/** What is done to a repo: commits, many at once, an open one, and a collection beside writers. */
async function script(repo: KnownRepo, kept: KnownRepo, round: number): Promise<void> {
  const seed = 100 * round
  const shared = noise(seed, 20_000)
  await repo.make()
  const first = await repo.put(
    'master',
    {
      kept: noise(seed + 1, 50_000),
      'd/small': prose(seed + 2, 3_000),
      'd/gone': noise(seed + 6, 250_000),
      'd/shared': shared,
    },
    `the message of round ${round}`,
  )
  await repo.put('master', { 'd/gone': prose(seed + 3, 9_000), 'd/shared': prose(seed + 7, 700) })
  const ids: string[] = []
  await everyOne(
    Array.from({ length: WRITERS }, async (_, n) => {
      ids.push(await repo.put('master', { [`w${n}/a`]: noise(seed + 10 + n, 20_000) }))
    }),
  )
  const open = await repo.open('side')
  await repo.stage(open, { 's/1': prose(seed + 4, 30_000) })
  await repo.stage(open, { 's/2': noise(seed + 5, 5_000) })
  await everyOne([repo.drop(first), repo.drop(ids[0] as string)])
  await everyOne([
    collectGarbage(client()),
    // The same bytes again, which only the dropped commit holds.
    kept.put('master', { [`shared${round % 3}`]: shared }),
    ...[20, 21].map((n) => repo.put('master', { [`w${n}/b`]: noise(seed + n, 40_000) })),
  ])
  await repo.finish(open)
  await repo.put('master', { again: shared })
}

/** @returns the effects that were counted; the server is dead */
async function live(
  order: EffectOrder,
  work: () => Promise<void>,
): Promise<{ readonly seen: readonly string[]; readonly struck: string | undefined }> {
  orderEffect(folder, order)
  const [worked] = await Promise.allSettled([work()])
  const counted = withdrawOrder(folder)
  if (counted.struck === undefined && worked.status === 'rejected') throw worked.reason
  await product.kill()
  return counted
}

/** As when somebody has waited until it is sure that the collector of before is gone. */
function leaveLease(): void {
  const tables = new DatabaseSync(join(product.data, 'tables.sqlite'))
  tables.exec(`UPDATE leases SET owner = '' WHERE name = 'lease/collector'`)
  tables.close()
}

async function expectSound(): Promise<void> {
  const checks = await Array.fromAsync(checkFolder(product.data, new AbortController().signal))
  expect(checks.filter(({ state }) => state === 'failed')).toEqual([])
}

const packsOnDisk = (): number => readdirSync(join(product.data, 'blobs/objects/packs')).length

const timeout = MANY === undefined ? 1_200_000 : 7_200_000

test(
  'killed before or after any durable effect: what was acknowledged is there, and what is garbage goes',
  { timeout },
  async () => {
    const random = seededRandom(SEED)
    let kept = new KnownRepo(client, 'kept')
    await start()
    await kept.make()
    const never: EffectOrder = { at: Number.MAX_SAFE_INTEGER, when: 'after' }
    let round = 0
    let repo = new KnownRepo(client, 'r0')
    const { seen: all } = await live(never, () => script(repo, kept, 0))
    for (const name of MUST_BE_SEEN) expect(all).toContain(name)

    const orders = ordersOf(all, random.next)
    let struck = 0
    let again = 0
    let readable = 0
    for (const order of orders) {
      await expectSound()
      leaveLease()
      await start()
      await kept.goOn(() => true)
      await repo.make()
      await repo.goOn(() => random.next() < 0.5)
      await repo.check()
      await expectWhole(client())
      // Collecting what that left, it is killed once more.
      if (random.next() < 0.4) {
        const at = 1 + Math.floor(random.next() * 30)
        const when = random.next() < 0.5 ? 'before' : 'after'
        const second = await live({ at, when }, () => collectAll(client()).then(() => {}))
        if (second.struck !== undefined) again++
        await expectSound()
        leaveLease()
        await start()
      }
      expect(await collectAll(client())).toBe(packsOnDisk())
      readable += await repo.check()
      await kept.check()
      await repo.delete()
      repo = new KnownRepo(client, `r${++round}`)
      if (round % KEPT_ROUNDS === 0) {
        await kept.delete()
        kept = new KnownRepo(client, `kept${round}`)
        await kept.make()
      }
      const counted = await live(order, () => script(repo, kept, round))
      if (counted.struck !== undefined) struck++
    }
    await expectSound()
    leaveLease()
    await start()
    await repo.make()
    await repo.goOn(() => true)
    await repo.check()
    expect(await collectAll(client())).toBe(packsOnDisk())
    await repo.check()
    await expectWhole(client())
    // The script does not take the same steps each time, but nearly so.
    expect(struck).toBeGreaterThan(orders.length * 0.8)
    if (orders.length > 10) expect(again).toBeGreaterThan(0)
    expect(readable).toBeGreaterThan(orders.length)
    if (MANY !== undefined)
      console.log({ effects: all.length, orders: orders.length, struck, again, readable })
  },
)

/** Where it is to be killed, one after another. */
function ordersOf(all: readonly string[], chance: () => number): EffectOrder[] {
  if (MANY !== undefined) {
    const every = all.flatMap((_, i) =>
      (['before', 'after'] as const).map((when) => ({ order: { at: i + 1, when }, by: chance() })),
    )
    const drawn = every.toSorted((a, b) => a.by - b.by).map(({ order }) => order)
    return MANY === 'all' ? drawn : drawn.slice(0, Number(MANY))
  }
  return [...new Set(all)].map((of) => {
    const times = all.filter((name) => name === of).length
    const when = chance() < 0.5 ? 'before' : 'after'
    return { of, at: 1 + Math.floor(chance() * times), when }
  })
}
