// One run: the main job flows and clients commit while the system is struck; then everything is healed,
// drains, and is judged from the journal and from what it shows.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '../../src/base/random.ts'
import type { Cluster } from '../cluster/cluster.ts'
import {
  checkCommits,
  checkDecided,
  checkDelivery,
  checkLog,
  checkOrder,
  landed,
  opsOf,
  strikesOn,
} from './checker.ts'
import type { Verdict } from './checker.ts'
import { CommittingClient, FILES_REPO, askAgain } from './clients.ts'
import type { Fault } from './faults.ts'
import { strikeAll } from './faults.ts'
import { EGRESS_BATCH, applyFeed, createTopics, drained, produce, verify } from './feed.ts'
import type { FeedOptions } from './feed.ts'
import { readLogOf, takeInventory } from './inventory.ts'
import { judgeFeed } from './judge.ts'
import { Journal, readJournal } from './journal.ts'

export interface ScenarioOptions {
  readonly seed: number
  readonly cluster: Cluster
  readonly feed: FeedOptions
  /** The producer waits so long after each thousand records. */
  readonly feedPauseMs: number
  readonly commitRecords: number
  readonly clients: number
  readonly thinkMs: number
  readonly faults: readonly Fault[]
  /** That land. */
  readonly strikes: number
  readonly restMs: { readonly from: number; readonly to: number }
  /** Of the journal. */
  readonly folder: string
  /** To look at the log with. */
  readonly cassandra: string
  readonly drainMs: number
  readonly say: (text: string) => void
}

export interface Outcome {
  /** What must not be; empty when all holds. */
  readonly wrong: readonly string[]
  readonly landed: ReadonlyMap<string, number>
  readonly ops: number
  readonly accepted: number
  readonly verdict: Verdict
  /** The longest time from a healing until commits were acknowledged again. */
  readonly slowestMs: number
  /** From the last thing healed until all is ready, every op answered, every record delivered. */
  readonly readyMs: number
  readonly drainedMs: number
  /** Processes that ended without being asked to, and were started again. */
  readonly ends: readonly string[]
}

export async function runScenario(options: ScenarioOptions): Promise<Outcome> {
  const { seed, cluster, feed, say } = options
  const random = seededRandom(seed)
  const journal = new Journal(join(options.folder, 'journal.jsonl'))
  await createTopics(feed)
  const { client } = cluster
  await client.call('POST /projects/:project/repos', {
    params: { project: 'default' },
    body: { name: FILES_REPO },
  })
  await applyFeed(client, feed, options.commitRecords)

  const stop = new AbortController()
  const give = new AbortController()
  const fed = produce(feed, options.feedPauseMs)
  const committing = Array.from({ length: options.clients }, (_, n) =>
    new CommittingClient({
      name: `c${n + 1}`,
      target: cluster,
      journal,
      random: seededRandom(seed + n + 1),
      thinkMs: options.thinkMs,
    }).run(stop.signal, give.signal),
  )
  for (const work of [fed, ...committing]) work.catch(() => {}) // awaited below
  await sleep(1_000)
  const { faults, strikes: count, restMs } = options
  const struck = await strikeAll({ faults, count, random, journal, restMs, say })

  const healedMs = performance.now()
  const since = (): number => Math.round(performance.now() - healedMs)
  stop.abort()
  const giving = setTimeout(() => give.abort(), options.drainMs)
  await cluster.ready(options.drainMs)
  const readyMs = since()
  say(`all ready ${readyMs} ms after the last fault`)
  await Promise.all(committing)
  await fed
  say(`the feed had ended ${since()} ms after the last fault`)
  await journal.append({ kind: 'produced', topic: feed.from, records: feed.records })
  await drained(client, feed.records, options.drainMs)
  const drainedMs = since()
  clearTimeout(giving)
  say(`all drained ${drainedMs} ms after the last fault`)

  const { ops: first } = opsOf(readJournal(journal.path))
  await askAgain(
    cluster,
    journal,
    first.filter((_, i) => i % Math.ceil(first.length / 100) === 0),
  )
  await journal.close()
  const lines = readJournal(journal.path)
  const { ops, wrong } = opsOf(lines)
  wrong.push(...struck.wrong)
  const found = await takeInventory(client, FILES_REPO, ops)
  wrong.push(...checkCommits(ops, found), ...checkOrder(lines, ops, found))
  wrong.push(...(await judgeFeed(client, feed)))
  const log = await readLogOf(options.cassandra, cluster.name, 'default')
  wrong.push(...log.wrong, ...checkLog(log.rows, 'default'), ...checkDecided(ops, log.rows))
  const verdict = await verify(feed)
  wrong.push(
    ...checkDelivery(
      verdict,
      strikesOn(lines, /^(?:egress|Kafka|api|log|S3|Cassandra)/) * EGRESS_BATCH,
    ),
  )
  return {
    wrong,
    landed: landed(lines),
    ops: ops.length,
    accepted: ops.filter(({ answer }) => answer === 'yes').length,
    verdict,
    slowestMs: struck.slowestMs,
    readyMs,
    drainedMs,
    ends: cluster.members.flatMap(({ ends }) => ends),
  }
}
