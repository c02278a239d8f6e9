// A single node killed between acknowledged writes: what was acknowledged is there when it is back, and
// who wrote meanwhile goes on by himself.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import { retry } from '../../src/base/retry.ts'
import { LOG_TABLES } from '../../src/log/tables.ts'
import { CassandraTables } from '../../src/tables/adapters/cassandra/tables.ts'
import { FACTS, GUARDED } from '../contract/tables.ts'
import { CassandraServer, cassandraAvailable } from '../services/cassandra.ts'
import { checkLog, entriesAfter, journalOn } from './cassandra-journal.ts'

const LOGS = 3
const KILLS = 2
const guests = { clock: systemClock, random: systemRandom }

let server: CassandraServer
let tables: CassandraTables
beforeAll(async () => {
  if (!cassandraAvailable) return
  // Never a shared one: it dies.
  server = await CassandraServer.start({ nodes: 1 })
  tables = await CassandraTables.open(
    {
      contactPoints: server.contactPoints,
      datacenter: 'datacenter1',
      keyspace: 'killed',
    },
    [...LOG_TABLES, FACTS, GUARDED],
  )
})
afterAll(async () => {
  await tables?.close()
  await server?.stop()
})

test.runIf(cassandraAvailable)('a killed node forgets nothing it acknowledged', async () => {
  const stop = new AbortController()
  const acknowledged = Array.from({ length: LOGS }, () => new Set<string>())
  const facts = new Set<number>()
  const append = async (n: number): Promise<void> => {
    const journal = journalOn(tables, `killed${n}`)
    let head = journal.genesis()
    while (!stop.signal.aborted) {
      const entries = entriesAfter(head.seq, 1 + (head.seq % 4))
      // One writer: what it appends is never refused, however often it is in doubt.
      const room = 1024 - (head.seq % 1024)
      const after = await journal.append(head, entries.slice(0, room), new AbortController().signal)
      expect(after).toBeDefined()
      if (!after) return
      for (const { entry } of entries.slice(0, room)) acknowledged[n]?.add(entry.id)
      head = after
    }
  }
  const write = async (): Promise<void> => {
    for (let a = 0; !stop.signal.aborted; a++) {
      const row = { p: 'facts', a, b: '', value: `${a}` }
      const put = (): Promise<void> => tables.put(FACTS, [row], 1)
      await retry(guests, { firstMs: 10, maxMs: 500 }, put, {
        retryable: (error) => isVarveError(error, 'UNAVAILABLE'),
      })
      facts.add(a)
    }
  }
  const work = Promise.all([write(), ...Array.from({ length: LOGS }, (_, n) => append(n))])
  const written = async (more: number): Promise<void> => {
    const enough = facts.size + more
    while (facts.size < enough) await systemClock.sleep(20)
  }
  const kill = async (): Promise<void> => {
    for (let n = 0; n < KILLS; n++) {
      await written(50)
      await server.kill()
      await server.restart()
    }
    await written(20)
    stop.abort()
  }
  // Together, so that what fails in one of them ends the test.
  await Promise.all([kill(), work])
  for (let n = 0; n < LOGS; n++) {
    const ids = acknowledged[n] ?? new Set<string>()
    expect(ids.size).toBeGreaterThan(0)
    expect((await checkLog(tables, `killed${n}`, ids)).length).toBe(ids.size)
  }
  const found = new Set<number>()
  for await (const row of tables.scan(FACTS, { p: 'facts' })) found.add(row.a)
  expect([...facts].filter((a) => !found.has(a))).toEqual([])
})
