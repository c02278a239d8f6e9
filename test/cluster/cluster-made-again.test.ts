// What can be made again is made again while requests are on their way: topics of our own that were
// deleted (the bus is a bell: what was rung and not heard is asked again, what was decided is found in the
// tables), and the rows that are read, by a rebuild into a new view.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TOPICS } from '../../src/bus/bus.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { RebuildView } from '../../src/api/rebuild.ts'
import type { Client } from '../../src/client/client.ts'
import { describeTopics } from '../../src/kafka/admin.ts'
import { KafkaConnection } from '../../src/kafka/connect.ts'
import { checkCommits, checkDecided, checkLog, checkOrder, opsOf } from '../faults/checker.ts'
import { CommittingClient, FILES_REPO } from '../faults/clients.ts'
import { deleteTopic } from '../faults/faults.ts'
import { readLogOf, takeInventory } from '../faults/inventory.ts'
import { Journal, readJournal } from '../faults/journal.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { createBucket, s3Available } from '../services/s3.ts'
import { shared } from '../services/shared.ts'
import { Cluster, removeLogs } from './cluster.ts'

const CLIENTS = 6
/** An event's subject ends with the commit's id. */
const ID_CHARS = 32
const ROUNDS = 3
const BETWEEN = 10
const SETTLE_MS = 120_000

/** Its last step. */
async function rebuild(client: Client, check: boolean): Promise<RebuildView> {
  let last: RebuildView | undefined
  for await (const step of client.lines('POST /projects/:project/rebuild', {
    params: { project: 'default' },
    query: { check },
  }))
    last = step
  if (!last) throw new Error('a rebuild without a step')
  return last
}

/** Reads the newest commits again and again: none may be gone that was there. @returns what was wrong */
async function readOn(client: Client, signal: AbortSignal): Promise<string[]> {
  const wrong: string[] = []
  let newest = -1
  while (!signal.aborted) {
    const { items } = await client.call('GET /projects/:project/repos/:repo/commits', {
      params: { project: 'default', repo: FILES_REPO },
      query: { limit: 5 },
    })
    const seq = items[0]?.openedSeq ?? -1
    if (seq < newest) wrong.push(`the newest commit was at ${newest}, then at ${seq}`)
    newest = Math.max(newest, seq)
    await sleep(20)
  }
  return wrong
}

describe.skipIf(!kafkaAvailable || !cassandraAvailable || !s3Available)('topics deleted', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-topics-'))
  const name = `topics_${process.pid}`
  let cluster: Cluster
  let kafka: string
  let cassandra: string

  beforeAll(async () => {
    const s3 = await shared('s3')
    kafka = await shared('kafka')
    cassandra = await shared('cassandra')
    await createBucket(s3, name.replaceAll('_', '-'))
    const roles = { scheduler: 1, spouts: 0, egress: 0, events: 1 }
    const options = { kafka, cassandra, s3, name, replication: 1, folder, workers: 0 }
    cluster = await Cluster.start({ ...options, roles })
  })

  afterAll(async () => {
    await cluster?.stop()
    removeLogs(folder)
  })

  test('topics deleted and rows rebuilt mid-flight: nothing lost, readers and followers go on, every request is answered', async () => {
    const topics = [TOPICS.proposals, TOPICS.log].map((topic) => topic.replace('varve', name))
    const connection = new KafkaConnection({ brokers: [kafka] })
    const idsOf = async (): Promise<string[]> =>
      (await describeTopics(connection, topics)).map(({ id }) => id)
    const idsBefore = await idsOf()
    await cluster.client.call('POST /projects/:project/repos', {
      params: { project: 'default' },
      body: { name: FILES_REPO },
    })
    const journal = new Journal(join(folder, 'journal.jsonl'))
    const [stop, give] = [new AbortController(), new AbortController()]
    // A follower that is never restarted must hear of every commit.
    const heard = new Set<string>()
    const following = (async () => {
      const events = cluster.client.events('GET /events', {
        query: { after: '0' },
        signal: give.signal,
      })
      for await (const { data } of events)
        if (data.type === 'dev.varve.commit.finished.v1') heard.add(data.subject.slice(-ID_CHARS))
    })().catch(() => {})
    const committing = Array.from({ length: CLIENTS }, (_, n) =>
      new CommittingClient({
        name: `c${n}`,
        target: cluster,
        journal,
        random: seededRandom(n + 1),
        thinkMs: 40,
      }).run(stop.signal, give.signal),
    )
    for (const work of committing) work.catch(() => {}) // awaited below
    let deleted = 0
    const accepted = (): number =>
      readJournal(journal.path).filter((line) => line.kind === 'answered' && line.answer === 'yes')
        .length
    /** Work goes on between deletions, so that each of them meets some. */
    const more = async (): Promise<void> => {
      const wanted = accepted() + BETWEEN
      for (let n = 0; n < SETTLE_MS / 100 && accepted() < wanted; n++) await sleep(100)
      expect(accepted(), 'commits between two deletions').toBeGreaterThanOrEqual(wanted)
    }
    const reading = readOn(cluster.client, stop.signal)
    for (let round = 0; round < ROUNDS; round++) {
      for (const topic of topics) {
        await more()
        if (await deleteTopic(kafka, topic).strike()) deleted++
      }
      await more()
      expect(await rebuild(cluster.client, false)).toMatchObject({ view: round + 2 })
    }
    await more()
    stop.abort()
    expect(await reading, 'what a reader saw').toEqual([])
    const giving = setTimeout(() => give.abort(), SETTLE_MS)
    const settledFromMs = performance.now()
    await Promise.all(committing)
    const settledMs = Math.round(performance.now() - settledFromMs)
    clearTimeout(giving)
    await cluster.ready(SETTLE_MS)
    await journal.close()

    const lines = readJournal(journal.path)
    const { ops, wrong } = opsOf(lines)
    const found = await takeInventory(cluster.client, FILES_REPO, ops)
    const log = await readLogOf(cassandra, name, 'default')
    wrong.push(...checkCommits(ops, found), ...checkOrder(lines, ops, found), ...log.wrong)
    wrong.push(...checkLog(log.rows, 'default'), ...checkDecided(ops, log.rows))
    const commits = ops.filter(({ answer }) => answer === 'yes')
    console.log(
      `topics deleted ${deleted} times: ${ops.length} requests, ${commits.length} commits, ` +
        `the last answer ${settledMs} ms after the last deletion`,
    )
    expect(wrong).toEqual([])
    const rows = await rebuild(cluster.client, true)
    expect(rows).toMatchObject({ differing: 0, examples: [] })
    expect(rows.rows).toBeGreaterThan(2 * commits.length)
    expect(deleted).toBeGreaterThanOrEqual(4)
    const missed = (): string[] => commits.map(({ id }) => id).filter((id) => !heard.has(id))
    for (let n = 0; n < 100 && missed().length > 0; n++) await sleep(200)
    expect(missed()).toEqual([])
    give.abort()
    await following
    const idsAfter = await idsOf()
    connection.close()
    for (const [i, id] of idsAfter.entries()) expect(id).not.toBe(idsBefore[i])
    expect(cluster.members.flatMap(({ ends }) => ends)).toEqual([])
  })
})
