// What is wrong with a feed that is drained: between the records that were sent and those delivered lies
// everything the product promises of it.

import type { Client } from '../../src/client/client.ts'
import { checkFeed, checkJobs, checkLog } from './checker.ts'
import { countedRecords } from './feed.ts'
import type { FeedOptions } from './feed.ts'
import { commitsOf, jobsOf, readLogOf, recordsBelow } from './inventory.ts'

/** Commits, records and jobs of the feed; what was delivered is for who reads the last topic. */
export async function judgeFeed(client: Client, feed: FeedOptions): Promise<string[]> {
  const { files, records } = await recordsBelow(client, 'orders', 'master')
  const commits = await commitsOf(client, 'orders')
  const produced = { kind: 'produced', topic: feed.from, records: feed.records } as const
  const wrong = checkFeed({ commits }, produced, records)
  const jobs = [...(await jobsOf(client, 'passed')), ...(await jobsOf(client, 'counted'))]
  wrong.push(...checkJobs(jobs, files))
  const counted = await countedRecords(client)
  if (counted !== feed.records)
    wrong.push(`the pipeline counted ${counted} of ${feed.records} records`)
  return wrong
}

/** The log of the default project in a keyspace. */
export async function judgeLog(cassandra: string, keyspace: string): Promise<string[]> {
  const log = await readLogOf(cassandra, keyspace, 'default')
  return [...log.wrong, ...checkLog(log.rows, 'default')]
}
