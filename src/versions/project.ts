// The rows of a dense run of entries: for every row one final put or remove, whole, at the seq of the
// entry that last wrote it. A row is made of one fact (and that entry's seq) alone, so any split of
// the same entries ends in the same rows. Commit rows stand before branch rows: a head that can be
// read names a commit that can be read.

import type { Commit, Job, Pipeline } from '../model/entities.ts'
import { commitKey, hasEnded } from '../model/entities.ts'
import type { Fact } from '../model/ops.ts'
import { idTimeMs } from '../model/id.ts'
import { unreachable } from '../base/assert.ts'
import type { Entry } from '../log/machine.ts'
import type { FactsSpec, KeyOf, RowOf } from '../tables/schema.ts'
import type { FactWrite } from '../tables/tables.ts'
import { putFact, removeFact } from '../tables/tables.ts'
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
  PIPELINE_VERSIONS,
  PROJECTS,
  PURGES,
  REPOS,
  SPOUTS,
  SUBVENANCE,
  bucketOf,
  slotOf,
} from './tables.ts'

export function projectEntries(
  project: string,
  view: number,
  entries: readonly Entry<Fact>[],
): FactWrite[] {
  const rows = new Rows(project, view)
  for (const entry of entries) {
    if (!('yes' in entry.decision)) continue
    rows.seq = entry.seq
    for (const fact of entry.decision.yes) addFact(rows, fact)
  }
  return rows.writes()
}

/** The last write of each row, commits apart from the rest. */
class Rows {
  readonly at: { readonly project: string; readonly view: number }
  seq = 0
  readonly #first = new Map<string, FactWrite>()
  readonly #after = new Map<string, FactWrite>()

  constructor(project: string, view: number) {
    this.at = { project, view }
  }

  put<T extends FactsSpec>(table: T, row: RowOf<T>, key: readonly string[]): void {
    this.#keep(table, key, putFact(table, row, this.seq))
  }

  remove<T extends FactsSpec>(table: T, row: KeyOf<T>, key: readonly string[]): void {
    this.#keep(table, key, removeFact(table, row, this.seq))
  }

  writes(): FactWrite[] {
    const [head, ...heads] = this.#after.values()
    return [...this.#first.values(), ...(head ? [{ ...head, after: true as const }] : []), ...heads]
  }

  // Names hold no slash, so the joined key is unique.
  #keep(table: FactsSpec, key: readonly string[], write: FactWrite): void {
    const heads = table === BRANCHES || table === REPOS || table === OPEN_COMMITS
    const rows = heads ? this.#after : this.#first
    rows.set(`${table.name}/${key.join('/')}`, write)
  }
}

function addFact(rows: Rows, fact: Fact): void {
  const { at, seq } = rows
  switch (fact.f) {
    case 'project.created': {
      const { name } = fact.project
      rows.put(PROJECTS, { ...at, name, value: JSON.stringify(fact.project) }, [name])
      return
    }
    case 'repo.created': {
      const { name } = fact.repo
      const value = JSON.stringify(fact.repo)
      rows.put(REPOS, { ...at, name, created_seq: seq, value }, [name])
      return
    }
    case 'repo.changed': {
      const { name, createdSeq = 1 } = fact.repo
      const value = JSON.stringify(fact.repo)
      rows.put(REPOS, { ...at, name, created_seq: createdSeq, value }, [name])
      return
    }
    case 'repo.deleted':
      rows.remove(REPOS, { ...at, name: fact.repo.name }, [fact.repo.name])
      return
    case 'branch.created':
    case 'branch.moved':
    case 'branch.changed': {
      const { repo, branch } = fact.branch
      const value = JSON.stringify(fact.branch)
      rows.put(BRANCHES, { ...at, repo, branch, value }, [repo, branch])
      return
    }
    case 'branch.deleted': {
      const { repo, branch } = fact.branch
      rows.remove(BRANCHES, { ...at, repo, branch }, [repo, branch])
      return
    }
    case 'commit.opened':
    case 'commit.changed':
    case 'commit.finished':
    case 'commit.failed':
      addCommit(rows, fact.commit)
      return
    case 'commit.dropped':
      putCommit(rows, fact.commit)
      return
    case 'purge.begun':
    case 'purge.ended': {
      const { id } = fact.purge
      rows.put(PURGES, { ...at, id, value: JSON.stringify(fact.purge) }, [id])
      return
    }
    case 'pipeline.put':
      addPipeline(rows, fact.pipeline)
      rows.put(
        PIPELINE_VERSIONS,
        { ...at, name: fact.pipeline.name, seq, value: JSON.stringify(fact.pipeline) },
        [fact.pipeline.name, String(seq)],
      )
      return
    case 'pipeline.stopped':
    case 'pipeline.started':
      addPipeline(rows, fact.pipeline)
      return
    case 'pipeline.deleted':
      rows.remove(PIPELINES, { ...at, name: fact.pipeline.name }, [fact.pipeline.name])
      return
    case 'job.started':
    case 'job.stopping':
    case 'job.finished':
      addJob(rows, fact.job)
      return
    case 'spout.put':
    case 'spout.changed': {
      const { name } = fact.spout
      rows.put(SPOUTS, { ...at, name, value: JSON.stringify(fact.spout) }, [name])
      return
    }
    case 'spout.deleted':
      rows.remove(SPOUTS, { ...at, name: fact.spout.name }, [fact.spout.name])
      return
    case 'egress.put':
    case 'egress.changed':
    case 'egress.delivered': {
      const { name } = fact.egress
      rows.put(EGRESSES, { ...at, name, value: JSON.stringify(fact.egress) }, [name])
      return
    }
    case 'egress.deleted':
      rows.remove(EGRESSES, { ...at, name: fact.egress.name }, [fact.egress.name])
      return
    case 'sessions.closed':
      return
    default:
      unreachable(fact)
  }
}

function addPipeline(rows: Rows, pipeline: Pipeline): void {
  const { name } = pipeline
  rows.put(PIPELINES, { ...rows.at, name, value: JSON.stringify(pipeline) }, [name])
}

function putCommit(rows: Rows, commit: Commit): void {
  const { at } = rows
  const { repo, branch, id, openedSeq: seq } = commit
  const value = JSON.stringify(commit)
  rows.put(COMMITS, { ...at, repo, bucket: bucketOf(seq), seq, branch, id, value }, [
    commitKey(commit),
  ])
}

function addCommit(rows: Rows, commit: Commit): void {
  putCommit(rows, commit)
  const { at } = rows
  const { repo, branch, id, openedSeq: seq } = commit
  const key = [commitKey(commit)]
  if (rows.seq === seq) {
    rows.put(COMMIT_INDEX, { ...at, slot: slotOf(idTimeMs(id)), id, repo, branch, seq }, key)
    for (const input of commit.provenance)
      rows.put(
        SUBVENANCE,
        {
          ...at,
          slot: slotOf(idTimeMs(input.id)),
          id: input.id,
          repo: input.repo,
          branch: input.branch,
          below_repo: repo,
          below_branch: branch,
          below_id: id,
        },
        [commitKey(input), ...key],
      )
  }
  // A person's commit that was open, or is: the row says which one is now. One-shot commits never were.
  const standing = commit.state === 'open' ? id : ''
  if (commit.origin === 'user' && (standing !== '' || (hasEnded(commit.state) && rows.seq !== seq)))
    rows.put(OPEN_COMMITS, { ...at, repo, branch, commit_id: standing }, [repo, branch])
}

function addJob(rows: Rows, job: Job): void {
  const { at } = rows
  const { pipeline, startedSeq: seq, codeKey } = job
  const { id } = job.commit
  const value = JSON.stringify(job)
  // A job is its commit's: two branches of one pipeline never run one set.
  const key = [pipeline, id]
  rows.put(JOBS, { ...at, pipeline, bucket: bucketOf(seq), seq, id, value }, key)
  if (rows.seq === seq)
    rows.put(JOB_INDEX, { ...at, slot: slotOf(idTimeMs(id)), id, pipeline, seq }, key)
  if (job.datumTree !== null)
    rows.put(DATUM_TREES, { ...at, pipeline, code_key: codeKey, value }, [pipeline, codeKey])
}
