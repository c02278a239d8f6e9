// The main job on a whole cluster: two of every role, each a process of its own, on real Kafka,
// Cassandra and S3. Java's client, which knows nothing of us, writes the records and reads them back.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkDelivery } from '../faults/checker.ts'
import { applyFeed, createTopics, drained, produce, verify } from '../faults/feed.ts'
import type { FeedOptions } from '../faults/feed.ts'
import { judgeFeed, judgeLog } from '../faults/judge.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { createBucket, s3Available } from '../services/s3.ts'
import { shared } from '../services/shared.ts'
import { Cluster, removeLogs } from './cluster.ts'

const RECORDS = 100_000
const DRAIN_MS = 240_000

describe.skipIf(!kafkaAvailable || !cassandraAvailable || !s3Available)('main job, cluster', () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-cluster-'))
  const name = `main_job_${process.pid}`
  let cluster: Cluster
  let feed: FeedOptions
  let cassandra: string

  beforeAll(async () => {
    const [kafka, s3] = [await shared('kafka'), await shared('s3')]
    cassandra = await shared('cassandra')
    await createBucket(s3, name.replaceAll('_', '-'))
    feed = { kafka, from: `${name}-in`, to: `${name}-out`, records: RECORDS, replication: 1 }
    cluster = await Cluster.start({ kafka, cassandra, s3, name, replication: 1, folder })
  })

  afterAll(async () => {
    await cluster?.stop()
    removeLogs(folder)
  })

  test('topic to topic over two of every role: 0 lost, 0 doubled, in order per key', async () => {
    const { client } = cluster
    await createTopics(feed)
    await produce(feed, 0)
    const beganMs = performance.now()
    await applyFeed(client, feed, 10_000)
    await drained(client, RECORDS, DRAIN_MS).catch((error: Error) => {
      throw new Error(`${error.message}\n${cluster.tails()}`)
    })
    const tookMs = Math.round(performance.now() - beganMs)

    const verdict = await verify(feed)
    console.log(`main job, cluster: ${RECORDS} records in ${tookMs} ms, ${JSON.stringify(verdict)}`)
    expect([
      ...checkDelivery(verdict, 0),
      ...(await judgeFeed(client, feed)),
      ...(await judgeLog(cassandra, name)),
    ]).toEqual([])
    // Nothing fell over on the way.
    expect(cluster.members.flatMap(({ ends }) => ends)).toEqual([])
  })
})
