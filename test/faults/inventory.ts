// What a system shows of itself after a run: commits, heads, bytes, jobs through its API, and the log as
// it lies in its table.

import { forEachLimit } from '../../src/base/async.ts'
import { concat, equalBytes, fromUtf8, utf8 } from '../../src/base/bytes.ts'
import { isVarveError } from '../../src/base/errors.ts'
import type { Client } from '../../src/client/client.ts'
import { decodeBlock } from '../../src/log/block.ts'
import type { Hash } from '../../src/log/guests.ts'
import { openHash } from '../../src/main/compute.ts'
import { CLUSTER_TABLES } from '../../src/main/tables.ts'
import { CassandraTables } from '../../src/tables/adapters/cassandra/tables.ts'
import { FIRST_GENERATION, LOG, bucketEnd } from '../../src/log/tables.ts'
import type { Tables } from '../../src/tables/tables.ts'
import type { Found, FoundCommit, FoundJob, FoundRecord, LogRow, Op } from './checker.ts'

const PROJECT = 'default'
const READS = 8

async function textOf(client: Client, repo: string, ref: string, path: string): Promise<string> {
  const { content } = await client.download(
    'GET /projects/:project/repos/:repo/commits/:ref/file',
    {
      params: { project: PROJECT, repo, ref },
      query: { path },
    },
  )
  const parts: Uint8Array[] = []
  for await (const part of content) parts.push(part)
  return fromUtf8(concat(parts))
}

/** Undefined when the path is not there. */
async function textIfThere(...at: Parameters<typeof textOf>): Promise<string | undefined> {
  try {
    return await textOf(...at)
  } catch (error) {
    if (isVarveError(error, 'NOT_FOUND_PATH') || isVarveError(error, 'NOT_FOUND_COMMIT'))
      return undefined
    throw error
  }
}

export async function commitsOf(client: Client, repo: string): Promise<FoundCommit[]> {
  const found: FoundCommit[] = []
  const rows = client.pages((after) =>
    client.call('GET /projects/:project/repos/:repo/commits', {
      params: { project: PROJECT, repo },
      query: { limit: 1000, after },
    }),
  )
  for await (const { id, branch, parent, state, openedSeq, feed } of rows)
    found.push({
      repo,
      branch,
      id,
      parent,
      state,
      openedSeq,
      ...(feed ? { feed: feed.ranges } : {}),
    })
  return found
}

export async function headsOf(client: Client, repo: string): Promise<[string, string][]> {
  const heads: [string, string][] = []
  const rows = client.pages((after) =>
    client.call('GET /projects/:project/repos/:repo/branches', {
      params: { project: PROJECT, repo },
      query: { limit: 1000, after },
    }),
  )
  for await (const { branch, head } of rows)
    if (head !== null) heads.push([`${repo}@${branch}`, head])
  return heads
}

/** Everything about the ops of one repo. */
export async function takeInventory(
  client: Client,
  repo: string,
  ops: readonly Op[],
): Promise<Found> {
  const commits = await commitsOf(client, repo)
  const heads = new Map(await headsOf(client, repo))
  const texts = new Map<string, string>()
  const accepted = ops.filter(({ answer }) => answer === 'yes')
  await forEachLimit(accepted, READS, async ({ id, branch, path }) => {
    const text = await textIfThere(client, repo, `${branch}=${id}`, path)
    if (text !== undefined) texts.set(`${id}:${path}`, text)
  })
  const paths = new Map(accepted.map(({ branch, path }) => [`${branch}:${path}`, { branch, path }]))
  const headTexts = new Map<string, string>()
  await forEachLimit([...paths.values()], READS, async ({ branch, path }) => {
    const text = await textIfThere(client, repo, branch, path)
    if (text !== undefined) headTexts.set(`${repo}@${branch}:${path}`, text)
  })
  return { commits, heads, texts, headTexts }
}

/** Every record in the files below a head, and how many files they are in. */
export async function recordsBelow(
  client: Client,
  repo: string,
  branch: string,
): Promise<{ files: number; records: FoundRecord[] }> {
  const paths: string[] = []
  const at = { project: PROJECT, repo, ref: branch }
  const rows = client.lines('GET /projects/:project/repos/:repo/commits/:ref/glob', {
    params: at,
    query: { pattern: '/**' },
  })
  for await (const { kind, path } of rows) if (kind === 'file') paths.push(path)
  const records: FoundRecord[] = []
  await forEachLimit(paths, READS, async (path) => {
    for (const line of (await textOf(client, repo, branch, path)).split('\n'))
      if (line !== '') records.push(JSON.parse(line) as FoundRecord)
  })
  return { files: paths.length, records }
}

export async function jobsOf(client: Client, pipeline: string): Promise<FoundJob[]> {
  const jobs: FoundJob[] = []
  const rows = client.pages((after) =>
    client.call('GET /projects/:project/jobs', {
      params: { project: PROJECT },
      query: { limit: 1000, after, pipeline },
    }),
  )
  for await (const { id, state, counts } of rows) {
    let datums = 0
    const listed = client.lines('GET /projects/:project/pipelines/:pipeline/jobs/:job/datums', {
      params: { project: PROJECT, pipeline, job: id },
    })
    for await (const _ of listed) datums++
    jobs.push({ pipeline, id, state, counts, datums })
  }
  return jobs
}

/** The log of a project as it lies in its table; also says where the chain of hashes breaks. */
export async function readLog(
  tables: Tables,
  hash: Hash,
  project: string,
): Promise<{ rows: LogRow[]; wrong: string[] }> {
  const rows: LogRow[] = []
  const wrong: string[] = []
  let chain = hash(utf8(`varve log ${project} ${FIRST_GENERATION}`))
  for (let bucket = 0; ; bucket++) {
    const partition = { project, generation: FIRST_GENERATION, bucket }
    const guard = await tables.get(LOG, { ...partition, first_seq: 0 }, { serial: true })
    if (!guard) break
    for await (const row of tables.scan(LOG, partition)) {
      if (row.first_seq === 0) continue
      const entries = row.entries ?? new Uint8Array(0)
      chain = hash(concat([chain, entries]))
      if (!row.chain || !equalBytes(chain, row.chain))
        wrong.push(`${project}: the chain of hashes breaks at seq ${row.first_seq}`)
      for (const { seq, id } of decodeBlock(entries)) rows.push({ seq, id })
      if (rows.at(-1)?.seq !== row.last_seq)
        wrong.push(`${project}: the block at ${row.first_seq} does not end at ${row.last_seq}`)
    }
    if (guard.head !== (rows.at(-1)?.seq ?? 0))
      wrong.push(`${project}: the head is ${guard.head}, the last entry ${rows.at(-1)?.seq}`)
    if (guard.head !== bucketEnd(bucket)) break
  }
  return { rows, wrong }
}

/** As `readLog`, of a cluster's keyspace. @param contactPoints `host:port,…` */
export async function readLogOf(
  contactPoints: string,
  keyspace: string,
  project: string,
): ReturnType<typeof readLog> {
  const options = { contactPoints: contactPoints.split(','), datacenter: 'datacenter1', keyspace }
  const tables = await CassandraTables.open(options, CLUSTER_TABLES)
  try {
    return await readLog(tables, await openHash(), project)
  } finally {
    await tables.close()
  }
}
