// The main job: records of a topic go through a spout into commits, through two pipelines, and through
// an egress into another topic. Who writes the first topic and reads the last one is Java's client,
// which knows nothing of us.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../../src/client/client.ts'
import { withAdmin } from '../services/kafkajs.ts'
import { java } from '../services/kafka.ts'
import type { Verdict } from './checker.ts'

export const PARTITIONS = 4
const KEYS = 50
/** What an egress records at least, and so what it may send twice when it is hit. */
export const EGRESS_BATCH = 10_000

export interface FeedOptions {
  readonly kafka: string
  readonly from: string
  readonly to: string
  readonly records: number
  readonly replication: number
  /** What the pipelines run in, where code runs in pods. */
  readonly image?: string
}

export async function createTopics(feed: FeedOptions): Promise<void> {
  const { replication: replicationFactor } = feed
  const topics = [feed.from, feed.to]
  await withAdmin(feed.kafka, (admin) =>
    admin.createTopics({
      topics: topics.map((topic) => ({ topic, numPartitions: PARTITIONS, replicationFactor })),
      waitForLeaders: true,
    }),
  )
}

/** Every record acknowledged by the brokers. @param pauseMs after each thousand */
export async function produce(feed: FeedOptions, pauseMs: number): Promise<void> {
  const sizes = [feed.records, PARTITIONS, KEYS, pauseMs].map(String)
  await java('Verifier', 'produce', feed.kafka, feed.from, ...sizes)
}

/** What a reader of committed records sees of the last topic. */
export async function verify(feed: FeedOptions): Promise<Verdict> {
  const sizes = [feed.records, KEYS].map(String)
  return JSON.parse(await java('Verifier', 'verify', feed.kafka, feed.to, ...sizes)) as Verdict
}

/** `passed` hands its files on, `counted` says how many lines each has; both as the user's own code. */
export function documents(feed: FeedOptions, commitRecords: number): string {
  const cd = 'cd "${PFS_ROOT:-/pfs}" && '
  const count =
    'find orders -type f | while read -r f; do mkdir -p "out/$(dirname "$f")"; ' +
    'wc -l < "$f" > "out/$f.count"; done'
  const input = { pfs: { repo: 'orders', glob: '/*/*/*' } }
  const image = feed.image === undefined ? {} : { image: feed.image }
  return JSON.stringify([
    {
      spout: { name: 'orders' },
      source: { kafka: { 'bootstrap.servers': feed.kafka, topics: feed.from } },
      target: 'orders@master',
      commit: { records: commitRecords, idle: '200ms' },
    },
    {
      pipeline: { name: 'passed' },
      input,
      transform: { ...image, cmd: ['sh', '-c', `${cd}cp -r orders/. out/`] },
    },
    {
      pipeline: { name: 'counted' },
      input,
      transform: { ...image, cmd: ['sh', '-c', cd + count] },
    },
    {
      egress: { name: 'orders-out' },
      from: 'passed@master',
      sink: { kafka: { 'bootstrap.servers': feed.kafka, topic: feed.to, key: '/key' } },
    },
  ])
}

export async function applyFeed(
  client: Client,
  feed: FeedOptions,
  commitRecords: number,
): Promise<void> {
  await client.call('POST /projects/:project/apply', {
    params: { project: 'default' },
    body: documents(feed, commitRecords),
  })
}

const UNENDED = ['open', 'queued', 'running']

/** What is still on its way, in words; empty when the feed is drained. */
async function undrained(client: Client, records: number): Promise<string> {
  const { state, cause, deliveredRecords } = await client.call(
    'GET /projects/:project/egresses/:egress',
    { params: { project: 'default', egress: 'orders-out' } },
  )
  if (state !== 'running') return `the egress is ${state}: ${cause}`
  if (deliveredRecords < records) return `${deliveredRecords} of ${records} are delivered`
  for (const repo of ['orders', 'passed', 'counted']) {
    const { items } = await client.call('GET /projects/:project/repos/:repo/commits', {
      params: { project: 'default', repo },
      query: { limit: 50 },
    })
    const open = items.find((commit) => UNENDED.includes(commit.state))
    if (open) return `${repo}=${open.id} is ${open.state}`
  }
  return ''
}

/** Until every record is delivered and every commit has ended. @throws when that takes too long */
export async function drained(client: Client, records: number, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const waits = await undrained(client, records)
    if (waits === '') return
    if (Date.now() > deadline) throw new Error(`not drained within ${limitMs / 1000} s: ${waits}`)
    await sleep(250)
  }
}

/** The sum over all files of `counted`. */
export async function countedRecords(client: Client): Promise<number> {
  const at = { project: 'default', repo: 'counted', ref: 'master' }
  const files = client.lines('GET /projects/:project/repos/:repo/commits/:ref/glob', {
    params: at,
    query: { pattern: '/**' },
  })
  let sum = 0
  for await (const { kind, path } of files) {
    if (kind !== 'file') continue
    const { content } = await client.download(
      'GET /projects/:project/repos/:repo/commits/:ref/file',
      { params: at, query: { path } },
    )
    let text = ''
    for await (const part of content) text += Buffer.from(part).toString()
    sum += Number(text)
  }
  return sum
}
