// Why it does not run, as the terminal says it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { boundText } from '../../src/cli/words.ts'
import { NO_NODE, WAITING, poolWorld } from '../server/pool-world.ts'
import type { PoolWorld } from '../server/pool-world.ts'
import { runAgainst } from './run.ts'

let world: PoolWorld
beforeAll(async () => {
  world = await poolWorld()
})
afterAll(() => world.close())

async function varve(args: string): Promise<string> {
  const { code, out, err } = await runAgainst(world, args, { nowMs: () => 1_700_000_060_000 })
  const said = `${out}${err}`
  expect({ args, code, out: code === 0 ? '' : said }).toEqual({ args, code: 0, out: '' })
  return said
}

test('pool list and inspect: state, counts, cause, pods, ends, and what to try', async () => {
  const [header, row] = (await varve('pool list')).split('\n')
  expect(header).toMatch(/^NAME +STATE +RUNNING +WANTED +PIPELINES +CAUSE$/)
  expect(row).toMatch(/^v-default-1a2b +○ waiting +0 of 2 +4 +count +no node takes the pod: /)
  expect(JSON.parse(await varve('pool list -o json'))).toEqual([WAITING])
  const shown = await varve(`pool inspect ${WAITING.pool}`)
  expect(shown).toMatch(new RegExp(`^try +${NO_NODE.remedy}$`, 'm'))
  expect(shown).toMatch(/^workers +0 of 2 run, 4 wanted$/m)
  expect(shown).toMatch(/^pods +v-default-1a2b-x {2}○ waiting: no node takes the pod: /m)
  // A start is no trouble, and needs no advice.
  expect(shown).toMatch(/^ +v-default-1a2b-y {2}○ starting {2}on node-1$/m)
  expect(shown).not.toContain('wait a moment')
  expect(shown).toMatch(/^ended +v-default-1a2b-w {2}1 min ago: container "user" was killed /m)
})

test('a service says where it answers', async () => {
  const address = 'varve-service-count-1a2b.work.svc:80'
  expect(await varve(`pool inspect ${WAITING.pool}`)).not.toContain('address')
  world.board.pools = [{ ...WAITING, address }]
  const said = new RegExp(`^address +${address}$`, 'm')
  expect(await varve(`pool inspect ${WAITING.pool}`)).toMatch(said)
  expect(await varve('pipeline inspect count')).toMatch(said)
  expect(await varve('pool list -o wide')).toContain(address)
  world.board.pools = [WAITING]
})

test('pipeline, job and datum say the cause in one line', async () => {
  const list = await varve('pipeline list')
  expect(list).toMatch(/^count .*○ waiting: no node .* no node takes the pod: .*GPU?/im)
  const ways = [
    'pipeline inspect count',
    'job inspect count',
    'datum list count',
    'datum inspect count 55555555',
  ]
  for (const way of ways) expect(await varve(way)).toContain(NO_NODE.cause)
  for (const way of ways.filter((one) => one.includes('inspect')))
    expect(await varve(way)).toMatch(new RegExp(`^try +${NO_NODE.remedy}$`, 'm'))
  expect(await varve('job list')).toContain('○ waiting: no node')
})

test('how much may run at once, in words', async () => {
  expect(await varve('pipeline plan count')).toMatch(/^at once +at most 8 pods, 3.20 an hour$/m)
  expect(boundText({ pods: 1, costPerHour: null })).toBe('at most 1 pod')
  expect(boundText({ pods: null, costPerHour: null })).toContain('nothing bounds it')
})
