// Reads the domain's rows of one project at the view its watermark names.

import type {
  Branch,
  BranchKey,
  Commit,
  CommitKey,
  Egress,
  Job,
  Pipeline,
  Project,
  Purge,
  Repo,
  Spout,
} from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import { idTimeMs } from '../model/id.ts'
import type { Clock } from '../base/clock.ts'
import type { KeyOf, RowOf, TableSpec } from '../tables/schema.ts'
import type { Tables } from '../tables/tables.ts'
import {
  BRANCHES,
  COMMITS,
  COMMIT_INDEX,
  DATUM_TREES,
  EGRESSES,
  JOBS,
  JOB_INDEX,
  OPEN_COMMITS,
  PIPELINES,
  PROJECTS,
  PURGES,
  REPOS,
  SPOUTS,
  SUBVENANCE,
  bucketOf,
  slotOf,
} from './tables.ts'

export interface ReaderOptions {
  readonly tables: Tables
  readonly clock: Clock
  /** As `Log.watermark`; a function, because the log is made with a machine that reads. */
  readonly watermark: (project: string) => Promise<{ readonly seq: number; readonly view: number }>
}

interface At {
  readonly project: string
  readonly view: number
}

interface Page {
  readonly limit?: number
  readonly beforeSeq?: number
}

/** How long `reach` waits for the projections to reach a seq the lane already knows. */
const REACH_MS = 5_000
const REACH_STEP_MS = 5
/** Projects whose view is remembered. */
const REMEMBERED = 1_000

export class Reader {
  readonly #tables: Tables
  readonly #clock: Clock
  readonly #watermark: ReaderOptions['watermark']
  /** By project: the view that was the current one when it was asked last. */
  readonly #views = new Map<string, number>()

  constructor(options: ReaderOptions) {
    this.#tables = options.tables
    this.#clock = options.clock
    this.#watermark = options.watermark
  }

  async #at(project: string): Promise<At> {
    const { view } = await this.#watermark(project)
    if (this.#views.size >= REMEMBERED) this.#views.clear()
    this.#views.set(project, view)
    return { project, view }
  }

  /**
   * What `read` finds in the current view. It reads the one that was the current one last, while the
   * watermark is asked: if that view is still the current one, it held all along what can be read by now;
   * else it is read again.
   */
  async #in<T>(project: string, read: (at: At) => Promise<T>): Promise<{ at: At; found: T }> {
    const known = this.#views.get(project)
    const guess = known === undefined ? undefined : read({ project, view: known })
    // Its error counts only when it read the right view.
    guess?.catch(() => {})
    const at = await this.#at(project)
    return { at, found: await (guess && at.view === known ? guess : read(at)) }
  }

  async #get<T extends TableSpec>(
    project: string,
    table: T,
    key: (at: At) => KeyOf<T>,
  ): Promise<RowOf<T> | undefined> {
    return (await this.#in(project, (at) => this.#tables.get(table, key(at)))).found
  }

  async project(name: string, system: string): Promise<Project | undefined> {
    return parse(await this.#get(system, PROJECTS, (at) => ({ ...at, name })))
  }

  async *projects(system: string): AsyncIterable<Project> {
    yield* parsed<Project>(this.#tables.scan(PROJECTS, await this.#at(system)))
  }

  async repo(project: string, name: string): Promise<Repo | undefined> {
    return parse(await this.#get(project, REPOS, (at) => ({ ...at, name })))
  }

  async *repos(project: string): AsyncIterable<Repo> {
    yield* parsed<Repo>(this.#tables.scan(REPOS, await this.#at(project)))
  }

  async branch(project: string, { repo, branch }: BranchKey): Promise<Branch | undefined> {
    return parse(await this.#get(project, BRANCHES, (at) => ({ ...at, repo, branch })))
  }

  async *branches(project: string, repo: string): AsyncIterable<Branch> {
    yield* parsed<Branch>(this.#tables.scan(BRANCHES, { ...(await this.#at(project)), repo }))
  }

  async openCommit(project: string, { repo, branch }: BranchKey): Promise<Commit | undefined> {
    const row = await this.#get(project, OPEN_COMMITS, (at) => ({ ...at, repo, branch }))
    const id = row?.commit_id ?? ''
    return id === '' ? undefined : await this.commit(project, { repo, branch, id: id as Id })
  }

  async commit(project: string, { repo, branch, id }: CommitKey): Promise<Commit | undefined> {
    const slot = slotOf(idTimeMs(id))
    const { at, found: index } = await this.#in(project, (at) =>
      this.#tables.get(COMMIT_INDEX, { ...at, slot, id, repo, branch }),
    )
    return index?.seq === undefined ? undefined : await this.#commitAt(at, index.seq, index)
  }

  async #commitAt(
    at: At,
    seq: number,
    { repo, branch, id }: { readonly repo: string; readonly branch: string; readonly id: string },
  ): Promise<Commit | undefined> {
    return parse(
      await this.#tables.get(COMMITS, { ...at, repo, bucket: bucketOf(seq), seq, branch, id }),
    )
  }

  /** In order of repo and branch. */
  async commitSet(project: string, id: Id): Promise<Commit[]> {
    const at = await this.#at(project)
    const partition = { ...at, slot: slotOf(idTimeMs(id)) }
    const set: Commit[] = []
    for await (const row of this.#tables.scan(COMMIT_INDEX, partition, {
      after: { id, repo: '' },
    })) {
      if (row.id !== id) break
      const commit = row.seq === undefined ? undefined : await this.#commitAt(at, row.seq, row)
      if (commit) set.push(commit)
    }
    return set
  }

  /** Waits until the rows are as of `seq` or later; not for ever. */
  async reach(project: string, seq: number): Promise<void> {
    const startMs = this.#clock.monotonicMs()
    while ((await this.#watermark(project)).seq < seq) {
      if (this.#clock.monotonicMs() - startMs > REACH_MS) break
      await this.#clock.sleep(REACH_STEP_MS)
    }
  }

  /** Commits of a repo with an id, as of `seq` or later. */
  async commitsNamed(project: string, repo: string, id: Id, seq: number): Promise<Commit[]> {
    await this.reach(project, seq)
    return (await this.commitSet(project, id)).filter((commit) => commit.repo === repo)
  }

  async *commits(
    project: string,
    repo: string,
    options: Page & { readonly branch?: string } = {},
  ): AsyncIterable<Commit> {
    const { seq: newest, view } = await this.#watermark(project)
    const at = { project, view }
    const created = await this.#tables.get(REPOS, { ...at, name: repo })
    const oldest = created?.created_seq
    if (oldest === undefined) return
    let left = options.limit ?? Infinity
    for (const { bucket, before } of bucketsDown(newest, oldest, options.beforeSeq)) {
      if (left <= 0) return
      const partition = { ...at, repo, bucket }
      for await (const row of this.#tables.scan(COMMITS, partition, before)) {
        if (row.seq < oldest || left <= 0) return
        if (options.branch !== undefined && row.branch !== options.branch) continue
        const commit = parse<Commit>(row)
        if (!commit) continue
        yield commit
        left--
      }
    }
  }

  async *subvenance(project: string, key: CommitKey): AsyncIterable<CommitKey> {
    const partition = { ...(await this.#at(project)), slot: slotOf(idTimeMs(key.id)) }
    const { id, repo, branch } = key
    const after = { id, repo, branch, below_repo: '' }
    for await (const row of this.#tables.scan(SUBVENANCE, partition, { after })) {
      if (row.id !== id || row.repo !== repo || row.branch !== branch) return
      yield { repo: row.below_repo, branch: row.below_branch, id: row.below_id as Id }
    }
  }

  async pipeline(project: string, name: string): Promise<Pipeline | undefined> {
    return parse(await this.#get(project, PIPELINES, (at) => ({ ...at, name })))
  }

  async *pipelines(project: string): AsyncIterable<Pipeline> {
    yield* parsed<Pipeline>(this.#tables.scan(PIPELINES, await this.#at(project)))
  }

  async job(project: string, pipeline: string, id: Id): Promise<Job | undefined> {
    const slot = slotOf(idTimeMs(id))
    const { at, found: index } = await this.#in(project, (at) =>
      this.#tables.get(JOB_INDEX, { ...at, slot, id, pipeline }),
    )
    const seq = index?.seq
    if (seq === undefined) return undefined
    return parse(await this.#tables.get(JOBS, { ...at, pipeline, bucket: bucketOf(seq), seq, id }))
  }

  async *jobs(project: string, pipeline: string, options: Page = {}): AsyncIterable<Job> {
    const { seq: newest, view } = await this.#watermark(project)
    const at = { project, view }
    // A pipeline's jobs are not older than the repo they fill.
    const created = await this.#tables.get(REPOS, { ...at, name: pipeline })
    let left = options.limit ?? Infinity
    for (const { bucket, before } of bucketsDown(
      newest,
      created?.created_seq ?? 1,
      options.beforeSeq,
    )) {
      if (left <= 0) return
      for await (const row of this.#tables.scan(JOBS, { ...at, pipeline, bucket }, before)) {
        if (left <= 0) return
        const job = parse<Job>(row)
        if (!job) continue
        yield job
        left--
      }
    }
  }

  async datumTreeOf(project: string, pipeline: string, codeKey: string): Promise<Job | undefined> {
    const job = parse<Job>(
      await this.#get(project, DATUM_TREES, (at) => ({ ...at, pipeline, code_key: codeKey })),
    )
    return job && (await this.#isOfRepo(project, pipeline, job)) ? job : undefined
  }

  /** Of every code there is one of. */
  async *datumTreesOf(project: string, pipeline: string): AsyncIterable<Job> {
    const partition = { ...(await this.#at(project)), pipeline }
    for await (const job of parsed<Job>(this.#tables.scan(DATUM_TREES, partition)))
      if (await this.#isOfRepo(project, pipeline, job)) yield job
  }

  /** Of an earlier repo of its name nothing is kept. */
  async #isOfRepo(project: string, repo: string, { startedSeq }: Job): Promise<boolean> {
    const row = await this.#get(project, REPOS, (at) => ({ ...at, name: repo }))
    return row?.created_seq !== undefined && startedSeq >= row.created_seq
  }

  async spout(project: string, name: string): Promise<Spout | undefined> {
    return parse(await this.#get(project, SPOUTS, (at) => ({ ...at, name })))
  }

  async *spouts(project: string): AsyncIterable<Spout> {
    yield* parsed<Spout>(this.#tables.scan(SPOUTS, await this.#at(project)))
  }

  async purge(project: string, id: string): Promise<Purge | undefined> {
    return parse(await this.#get(project, PURGES, (at) => ({ ...at, id })))
  }

  async *purges(project: string): AsyncIterable<Purge> {
    yield* parsed<Purge>(this.#tables.scan(PURGES, await this.#at(project)))
  }

  async egress(project: string, name: string): Promise<Egress | undefined> {
    return parse(await this.#get(project, EGRESSES, (at) => ({ ...at, name })))
  }

  async *egresses(project: string): AsyncIterable<Egress> {
    yield* parsed<Egress>(this.#tables.scan(EGRESSES, await this.#at(project)))
  }
}

function parse<V>(row: { readonly value?: string | undefined } | undefined): V | undefined {
  return row?.value === undefined ? undefined : (JSON.parse(row.value) as V)
}

async function* parsed<V>(
  rows: AsyncIterable<{ readonly value?: string | undefined }>,
): AsyncIterable<V> {
  for await (const row of rows) {
    const value = parse<V>(row)
    if (value !== undefined) yield value
  }
}

/** Buckets from the newest row wanted down to the oldest there can be. */
function* bucketsDown(
  newest: number,
  oldest: number,
  beforeSeq: number | undefined,
): Iterable<{ bucket: number; before: { after?: { seq: number } } }> {
  const from = beforeSeq === undefined ? newest : Math.min(newest, beforeSeq - 1)
  for (let bucket = bucketOf(from); bucket >= bucketOf(oldest); bucket--)
    yield { bucket, before: beforeSeq === undefined ? {} : { after: { seq: beforeSeq } } }
}
