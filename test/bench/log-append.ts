// How fast the log of one project grows on Cassandra: blocks of 1, 50, 256 and 800 entries of 300 bytes,
// one after the other as a lane appends them, through the journal and the adapter; beside it the bare
// driver's conditional batch with rows of the same size. The difference is ours. One node, commitlog
// `batch`; VARVE_TEST_CASSANDRA measures yours.
import { createHash, randomBytes } from 'node:crypto'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { encodeEntry } from '../../src/log/block.ts'
import type { EncodedEntry } from '../../src/log/block.ts'
import type { Head } from '../../src/log/journal.ts'
import { Journal } from '../../src/log/journal.ts'
import { FIRST_GENERATION, LOG_TABLES, bucketEnd, bucketOf } from '../../src/log/tables.ts'
import { idSource } from '../../src/model/id.ts'
import type { CassandraOptions } from '../../src/tables/adapters/cassandra/connect.ts'
import { makeClient, profilesOf } from '../../src/tables/adapters/cassandra/connect.ts'
import { CassandraTables } from '../../src/tables/adapters/cassandra/tables.ts'
import { shared, stopShared } from '../services/shared.ts'
import type { Bench, Metric } from './bench.ts'
import { median, metric, quantile } from './bench.ts'

const SIZES = [1, 50, 256, 800]
const ids = idSource(systemClock, systemRandom)
const hash = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()

interface Round {
  readonly latenciesMs: number[]
  readonly perSecond: number
  /** Processor time of this process for each entry. */
  readonly cpuUs: number
}

/** Blocks of `size` one after the other until the time is over. */
async function drive(forMs: number, size: number, one: () => Promise<void>): Promise<Round> {
  const latenciesMs: number[] = []
  const cpu = process.cpuUsage()
  const start = performance.now()
  while (performance.now() - start < forMs) {
    const before = performance.now()
    await one()
    latenciesMs.push(performance.now() - before)
  }
  const tookMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  const entries = latenciesMs.length * size
  return { latenciesMs, perSecond: (entries / tookMs) * 1000, cpuUs: (user + system) / entries }
}

function entriesAfter(seq: number, size: number): EncodedEntry<{ pad: string }>[] {
  return Array.from({ length: size }, (_, i) =>
    encodeEntry(
      {
        seq: seq + 1 + i,
        id: ids(),
        atMs: 0,
        principal: 'bench',
        cause: null,
        fingerprint: '',
        decision: { yes: [{ pad: '.'.repeat(120) }] },
      },
      hash,
      () => 'unused',
    ),
  )
}

function journalOf(tables: CassandraTables): Journal<{ pad: string }> {
  const guests = {
    tables,
    bus: new MemoryBus({ clock: systemClock }),
    blob: new MemoryBlobStore(),
    clock: systemClock,
    random: systemRandom,
    hash,
  }
  return new Journal(guests, `p${randomBytes(4).toString('hex')}`, FIRST_GENERATION)
}

async function appends(tables: CassandraTables, forMs: number, size: number): Promise<Round> {
  const journal = journalOf(tables)
  const signal = new AbortController().signal
  let head: Head = journal.genesis()
  const append = async (n: number): Promise<void> => {
    const after = await journal.append(head, entriesAfter(head.seq, n), signal)
    if (!after) throw new Error('somebody else appends here')
    head = after
  }
  return drive(forMs, size, async () => {
    // A block never crosses a bucket: 800 of 1,024 leave a rest, which goes in one more block.
    const room = bucketEnd(bucketOf(head.seq + 1)) - head.seq
    await append(Math.min(size, room))
    if (size > room) await append(size - room)
  })
}

async function bare(options: CassandraOptions, forMs: number, size: number): Promise<Round> {
  const client = await makeClient(options)
  await client.connect()
  const { guarded } = await profilesOf(options)
  const table = `"${options.keyspace}".bare`
  await client.execute(
    `CREATE TABLE IF NOT EXISTS ${table} (p text, n bigint, head bigint, body blob, PRIMARY KEY (p, n))`,
  )
  const p = randomBytes(4).toString('hex')
  const insert = `INSERT INTO ${table} (p, n, head) VALUES (?, ?, ?) IF NOT EXISTS`
  await client.execute(insert, [p, 0, 0], guarded)
  const body = randomBytes(300 * size)
  let head = 0
  const round = await drive(forMs, size, async () => {
    head++
    const result = await client.batch(
      [
        {
          query: `UPDATE ${table} SET head = ? WHERE p = ? AND n = 0 IF head = ?`,
          params: [head, p, head - 1],
        },
        { query: `INSERT INTO ${table} (p, n, body) VALUES (?, ?, ?)`, params: [p, head, body] },
      ],
      guarded,
    )
    if (!result.wasApplied()) throw new Error('somebody else writes here')
  })
  await client.shutdown()
  return round
}

export const bench: Bench = {
  name: 'log-append',
  what: 'the log of one project on Cassandra, one block after the other: medians of rounds run in turn',
  async run({ small }) {
    const rounds = small ? 3 : 5
    const forMs = small ? 1_000 : 3_000
    const options: CassandraOptions = {
      contactPoints: [await shared('cassandra')],
      datacenter: 'datacenter1',
      keyspace: `bench_${randomBytes(4).toString('hex')}`,
    }
    const tables = await CassandraTables.open(options, LOG_TABLES)
    const ours = new Map<number, Round[]>()
    const peers = new Map<number, Round[]>()
    try {
      for (const size of SIZES) await appends(tables, 500, size) // warm
      for (let round = 0; round < rounds; round++)
        for (const size of SIZES) {
          ours.set(size, [...(ours.get(size) ?? []), await appends(tables, forMs, size)])
          peers.set(size, [...(peers.get(size) ?? []), await bare(options, forMs, size)])
        }
    } finally {
      await tables.close()
      await stopShared()
    }
    const of = (all: Map<number, Round[]>, size: number, value: (round: Round) => number): number =>
      median((all.get(size) ?? []).map(value))
    return SIZES.flatMap((size): Metric[] => {
      const compare = (words: string, unit: string, value: (round: Round) => number): Metric => {
        const peer = { name: 'bare driver', value: of(peers, size, value) }
        return metric(`${size} a block: ${words}`, of(ours, size, value), unit, { peer })
      }
      return [
        compare('entries', '/s', (round) => round.perSecond),
        compare('p50', 'ms', (round) => quantile(round.latenciesMs, 0.5)),
        compare('p99', 'ms', (round) => quantile(round.latenciesMs, 0.99)),
        compare('processor time of an entry', 'µs', (round) => round.cpuUs),
      ]
    })
  },
}
