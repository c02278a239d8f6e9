// Conditional writes whose outcome nobody knows, on a real Cassandra: made by a client that waits three
// milliseconds, and one by one at each kind of conditional write the product has.

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import { bucketEnd, bucketOf, FIRST_GENERATION, LOG, LOG_TABLES } from '../../src/log/tables.ts'
import type { ChunkKey } from '../../src/model/datum.ts'
import type { CommitKey } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { WORK, WorkRows } from '../../src/pipelines/work.ts'
import type { Lease } from '../../src/pipelines/work.ts'
import { makeClient } from '../../src/tables/adapters/cassandra/connect.ts'
import { migrate } from '../../src/tables/adapters/cassandra/migrate.ts'
import {
  SCHEMA,
  SCHEMA_KEY,
  SCHEMA_VERSION,
} from '../../src/tables/adapters/cassandra/schema-version.ts'
import { CassandraTables } from '../../src/tables/adapters/cassandra/tables.ts'
import { LEASES, Leases } from '../../src/tables/lease.ts'
import type { GuardedSpec, RowOf } from '../../src/tables/schema.ts'
import type { GuardedWrite, Outcome, Tables } from '../../src/tables/tables.ts'
import { Stage } from '../../src/versions/stage.ts'
import { RUNS } from '../../src/versions/tables.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { shared } from '../services/shared.ts'
import { checkLog, entriesAfter, journalOn } from './cassandra-journal.ts'
import { UnsureTables } from './cassandra-unsure.ts'
import type { Fate } from './cassandra-unsure.ts'

const SPECS = [...LOG_TABLES, RUNS, WORK, LEASES]
const keyspace = `unknown_${randomBytes(4).toString('hex')}`
const options = async (guardedMs?: number) => ({
  contactPoints: [await shared('cassandra')],
  datacenter: 'datacenter1',
  keyspace,
  ...(guardedMs === undefined ? {} : { timeouts: { guardedMs } }),
})

let tables: CassandraTables
beforeAll(async () => {
  if (!cassandraAvailable) return
  tables = await CassandraTables.open(await options(), SPECS)
})
afterAll(() => tables?.close())

let next = 0
const fresh = (): string => `p${next++}`
const never = new AbortController().signal

/** Counts what was unknown, and what of it had not landed when a serial read looked for it. */
class Watched extends UnsureTables {
  unknown = 0
  unseen: string[] = []

  override async writeIf<T extends GuardedSpec>(
    table: T,
    write: GuardedWrite<T>,
  ): Promise<Outcome<RowOf<T>>> {
    const outcome = await super.writeIf(table, write)
    if (outcome.kind !== 'unknown') return outcome
    this.unknown++
    const row = await tables.get(table, write.expect.key, { serial: true })
    if ((row as { write_id?: string } | undefined)?.write_id !== write.writeId)
      this.unseen.push(write.writeId)
    return outcome
  }
}

test.runIf(cassandraAvailable)(
  'a client that waits three milliseconds keeps a log that is dense and whole',
  async () => {
    const impatient = await CassandraTables.open(await options(3), SPECS)
    const watched = new Watched(impatient, () => 'ok')
    const project = fresh()
    const journal = journalOn(watched, project)
    const acknowledged = new Set<string>()
    let head = journal.genesis()
    let landed = 0
    for (let n = 0; n < 80 || (watched.unknown < 10 && n < 400); n++) {
      const size = Math.min(200, bucketEnd(bucketOf(head.seq + 1)) - head.seq)
      const entries = entriesAfter(head.seq, size)
      const before = watched.unseen.length
      const after = await journal.append(head, entries, never)
      expect(after).toBeDefined()
      if (!after) break
      // Its own id stands, so what a read had not seen has landed since, or the repetition did.
      if (watched.unseen.slice(before).includes(after.write)) landed++
      for (const { entry } of entries) acknowledged.add(entry.id)
      head = after
    }
    await impatient.close()
    const found = await checkLog(tables, project, acknowledged)
    expect(found.length).toBe(acknowledged.size)
    console.log(
      `${watched.unknown} unknown outcomes, ${landed} appends not seen by a read that stood in the end`,
    )
    expect(watched.unknown, 'too few to say anything').toBeGreaterThanOrEqual(10)
  },
)

/** One kind of conditional write. All of it on `key`, which is fresh. */
interface Kind {
  readonly name: string
  readonly prepare?: (key: string) => Promise<void>
  /** Through a store that is unsure of it. */
  readonly act: (unsure: Tables, key: string) => Promise<'stands' | 'refused'>
  /** What makes its condition false. */
  readonly rival?: (key: string) => Promise<void>
  /** How often what it writes is there. */
  readonly count: (key: string) => Promise<number>
}

const chunk = (key: string): ChunkKey =>
  ({ project: key, pipeline: 'pipe', job: 'job', n: 0 }) as ChunkKey
const rows = (on: Tables): WorkRows =>
  new WorkRows({ tables: on, clock: systemClock, random: systemRandom })
const lease: Lease = { owner: 'me', token: 1 }
const result = 'result' as TreeRef
const isLease = (given: unknown): given is Lease =>
  typeof given === 'object' && given !== null && !('state' in given)
const commit = { repo: 'repo', branch: 'branch', id: 'id' } as unknown as CommitKey
const run = 'run' as TreeRef
const staging = '0'.repeat(32) as Id
const stage = (on: Tables): Stage =>
  new Stage({ tables: on, clock: systemClock, random: systemRandom })
const workState = async (key: string): Promise<string> => {
  const { state, owner, token } = (await rows(tables).get(chunk(key))) ?? {}
  return `${state} ${owner} ${token}`
}

const KINDS: readonly Kind[] = [
  {
    name: 'append to the log',
    act: async (unsure, key) => {
      const journal = journalOn(unsure, key)
      const head = await journal.append(journal.genesis(), entriesAfter(0, 3), never)
      return head ? 'stands' : 'refused'
    },
    rival: async (key) => {
      const journal = journalOn(tables, key)
      await journal.append(journal.genesis(), entriesAfter(0, 5), never)
    },
    count: async (key) => {
      const found = await checkLog(tables, key, new Set())
      return found.length === 3 ? 1 : 0
    },
  },
  {
    name: 'append inside a bucket',
    prepare: async (key) => {
      const journal = journalOn(tables, key)
      await journal.append(journal.genesis(), entriesAfter(0, 1), never)
    },
    act: async (unsure, key) => {
      const journal = journalOn(unsure, key)
      const row = await tables.get(LOG, {
        project: key,
        generation: FIRST_GENERATION,
        bucket: 0,
        first_seq: 0,
      })
      const head = { seq: 1, write: `${row?.head_write}`, chain: row?.chain ?? new Uint8Array() }
      // Read before its rival came: see `rival`.
      const known = row?.head === 1 ? head : { ...head, write: 'gone' }
      return (await journal.append(known, entriesAfter(1, 3), never)) ? 'stands' : 'refused'
    },
    rival: async (key) => {
      const journal = journalOn(tables, key)
      const head = await journal.head(journal.genesis())
      await journal.append(head, entriesAfter(1, 5), never)
    },
    count: async (key) => {
      const found = await checkLog(tables, key, new Set())
      return found.length === 4 ? 1 : 0
    },
  },
  {
    name: 'a run of an open commit added',
    prepare: async (key) => void (await stage(tables).begin(key, commit, null)),
    act: async (unsure, key) => {
      try {
        await stage(unsure).add(key, commit, run, staging)
        return 'stands'
      } catch (error) {
        if (isVarveError(error, 'NOT_OPEN')) return 'refused'
        throw error
      }
    },
    rival: async (key) => void (await stage(tables).shut(key, commit, null)),
    count: async (key) => (await stage(tables).close(key, commit, null)).runs.length,
  },
  {
    name: 'an open commit closed',
    prepare: (key) => stage(tables).add(key, commit, run, staging),
    act: async (unsure, key) => {
      await stage(unsure).shut(key, commit, null)
      return 'stands'
    },
    count: async (key) => {
      const row = await tables.get(RUNS, { project: key, commit_key: 'repo@branch=id', row: -1 })
      expect((await stage(tables).close(key, commit, null)).runs).toEqual([run])
      return row === undefined || row.state === 'closing' ? 1 : 0
    },
  },
  {
    name: 'work claimed again',
    prepare: async (key) => {
      await rows(tables).claim(chunk(key), 'me', undefined)
      await rows(tables).reopen(chunk(key), lease)
    },
    act: async (unsure, key) => {
      const claimed = await rows(unsure).claim(chunk(key), 'me', { token: 1, closed: 0 })
      return isLease(claimed) ? 'stands' : 'refused'
    },
    rival: async (key) =>
      void (await rows(tables).claim(chunk(key), 'other', { token: 1, closed: 0 })),
    count: async (key) => ((await workState(key)) === 'leased me 2' ? 1 : 0),
  },
  {
    name: 'work claimed',
    act: async (unsure, key) => {
      const claimed = await rows(unsure).claim(chunk(key), 'me', undefined)
      return isLease(claimed) ? 'stands' : 'refused'
    },
    rival: async (key) => void (await rows(tables).claim(chunk(key), 'other', undefined)),
    count: async (key) => ((await workState(key)) === 'leased me 1' ? 1 : 0),
  },
  {
    name: 'work done',
    prepare: async (key) => void (await rows(tables).claim(chunk(key), 'me', undefined)),
    act: async (unsure, key) =>
      (await rows(unsure).done(chunk(key), lease, result)) ? 'stands' : 'refused',
    rival: async (key) => void (await rows(tables).reopen(chunk(key), lease)),
    count: async (key) => ((await workState(key)) === 'done me 1' ? 1 : 0),
  },
  {
    name: 'work given back',
    prepare: async (key) => void (await rows(tables).claim(chunk(key), 'me', undefined)),
    act: async (unsure, key) =>
      (await rows(unsure).reopen(chunk(key), lease)) ? 'stands' : 'refused',
    rival: async (key) => void (await rows(tables).done(chunk(key), lease, result)),
    count: async (key) => ((await workState(key)) === 'ready undefined 1' ? 1 : 0),
  },
]

describe.runIf(cassandraAvailable).each(KINDS)('$name', ({ prepare, act, rival, count }) => {
  const first = (fate: Fate): (() => Fate) => {
    const fates: Fate[] = [fate]
    return () => fates.shift() ?? 'ok'
  }

  test.each<Fate>(['ok', 'lost request', 'lost reply', 'late'])(
    '%s: it stands, once',
    async (fate) => {
      const key = fresh()
      await prepare?.(key)
      const unsure = new UnsureTables(tables, first(fate))
      expect(await act(unsure, key)).toBe('stands')
      await unsure.settled()
      expect(await count(key)).toBe(1)
    },
  )

  test('twice unknown, the first of them late', async () => {
    const key = fresh()
    await prepare?.(key)
    const fates: Fate[] = ['late', 'lost reply']
    const unsure = new UnsureTables(tables, () => fates.shift() ?? 'ok')
    expect(await act(unsure, key)).toBe('stands')
    await unsure.settled()
    expect(await count(key)).toBe(1)
  })

  test('not sent: an error, and nothing happened', async () => {
    const key = fresh()
    await prepare?.(key)
    const unsure = new UnsureTables(tables, first('not sent'))
    await expect(act(unsure, key)).rejects.toThrow('no answer')
    expect(await act(unsure, key)).toBe('stands')
    expect(await count(key)).toBe(1)
  })

  test.runIf(rival).each<Fate>(['ok', 'lost request', 'lost reply', 'late'])(
    'refused, after %s: it does not stand',
    async (fate) => {
      const key = fresh()
      await prepare?.(key)
      await rival?.(key)
      const unsure = new UnsureTables(tables, first(fate))
      expect(await act(unsure, key)).toBe('refused')
      await unsure.settled()
      expect(await count(key)).toBe(0)
    },
  )
})

/** Twenty times as fast. */
const fast: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * 20,
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
}

describe.runIf(cassandraAvailable).each(['take', 'beat', 'give up'] as const)(
  'a lease: %s',
  (step) => {
    test.each<Fate>(['not sent', 'lost request', 'lost reply', 'late'])('%s', async (fate) => {
      const key = fresh()
      const fates: Fate[] = [fate]
      const isStep = ({ name, owner }: { name?: string; owner?: string }): boolean =>
        name?.startsWith('process/')
          ? step === 'beat'
          : step === (owner === '' ? 'give up' : 'take')
      const unsure = new UnsureTables(tables, (row) =>
        isStep(row) ? (fates.shift() ?? 'ok') : 'ok',
      )
      const keep = async (on: Tables, owner: string, forMs: number): Promise<number[]> => {
        const tokens: number[] = []
        const leases = new Leases({ tables: on, clock: fast, random: systemRandom, owner })
        await leases.keep(key, never, async (token, signal) => {
          tokens.push(token)
          await fast.sleep(forMs, signal)
        })
        return tokens
      }
      // It is kept over several beats, and nobody else has it meanwhile.
      const first = await keep(unsure, `${key}.a`, 8_000)
      expect(first).toEqual([1])
      expect(fates).toEqual([])
      // Given up, or left to the patience of the next: in any case it is taken with a higher token.
      const second = await keep(tables, `${key}.b`, 100)
      expect(second).toEqual([2])
      await unsure.settled()
      const row = await tables.get(LEASES, { name: `lease/${key}` }, { serial: true })
      expect([row?.owner, row?.token]).toEqual(['', 2])
    })
  },
)

describe.runIf(cassandraAvailable)('the version of the schema', () => {
  // What the keyspace has; each change is of a version more.
  let { version } = SCHEMA
  test.each([0, 1])('unknown at write %i', async (at) => {
    const given = await options()
    const client = await makeClient(given)
    await client.connect()
    const change = (on: Tables, known: number): Promise<void> =>
      migrate({
        client,
        tables: on,
        options: given,
        specs: SPECS,
        clock: fast,
        random: systemRandom,
        known: { version: known, minCompatible: 1 },
      })
    for (const fate of ['ok', 'not sent', 'lost request', 'lost reply', 'late'] as const) {
      version++
      let writes = 0
      const unsure = new UnsureTables(tables, () => (writes++ === at ? fate : 'ok'))
      if (fate === 'not sent') {
        await expect(change(unsure, version)).rejects.toThrow('no answer')
        // Somebody else does it, if need be after the patience.
        await change(tables, version)
      } else {
        await change(unsure, version)
      }
      await unsure.settled()
      const row = await tables.get(SCHEMA_VERSION, SCHEMA_KEY, { serial: true })
      expect(row).toMatchObject({ version, owner: '' })
    }
    await client.shutdown()
  })
})
