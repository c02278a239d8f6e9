// The domain as every other room uses it: proposals in, rows and entries out.

import type { Branch, BranchKey, Commit, CommitKey, Job, Project } from '../model/entities.ts'
import { commitKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import { DEFAULT_PROJECT, SYSTEM_PROJECT } from '../model/name.ts'
import type { Change, Fact, Op, Session } from '../model/ops.ts'
import { isMachineOp } from '../model/ops.ts'
import type { Ref } from '../model/ref.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { must, unreachable } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError, isVarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import type { Log, RebuildStep } from '../log/machine.ts'
import type { Objects, TreeWriter } from '../objects/objects.ts'
import type { Tables } from '../tables/tables.ts'
import type { Hash } from './fingerprint.ts'
import { fingerprintOf } from './fingerprint.ts'
import { projectEntries } from './project.ts'
import { Reader } from './reader.ts'
import { resolveRef } from './resolve.ts'
import { keepsBytes } from './decide/sessions.ts'
import { Sessions } from './sessions.ts'
import { rootsOf } from './roots.ts'
import { Stage, notOpen } from './stage.ts'
import { Uploads } from './uploads.ts'
import type { CommitOptions, Request, VersionEntry, Versions } from './versions.ts'

export interface VersionsOptions {
  readonly log: Log<Op, Fact>
  readonly tables: Tables
  readonly objects: Objects
  readonly clock: Clock
  readonly random: Random
  readonly hash: Hash
}

const DEADLINE_MS = 30_000
/** How often a closed session is opened anew for one request. */
const ADOPTIONS = 8
const BACKOFF = { firstMs: 5, maxMs: 500 }

export class VersionsService implements Versions {
  readonly objects: Objects
  readonly uploads: Uploads
  readonly sessions: Sessions
  readonly #log: Log<Op, Fact>
  readonly #clock: Clock
  readonly #random: Random
  readonly #hash: Hash
  readonly #reader: Reader
  readonly #stage: Stage
  /** Projects seen to exist; they are never deleted. */
  readonly #known = new Set<string>([DEFAULT_PROJECT, SYSTEM_PROJECT])

  constructor(options: VersionsOptions) {
    const { log, tables, objects, clock, hash } = options
    this.objects = objects
    this.#log = log
    this.#clock = clock
    this.#hash = hash
    this.#reader = new Reader({ tables, clock, watermark: (project) => log.watermark(project) })
    this.#stage = new Stage(options)
    this.#random = options.random
    const watermark = (project: string): Promise<number> => this.watermark(project)
    this.sessions = new Sessions({ objects, clock, watermark })
    this.uploads = new Uploads(options, this)
  }

  async propose(project: string, ops: readonly Op[], request: Request): Promise<VersionEntry> {
    await this.#checkProject(project)
    let asked = await Promise.all(ops.map((op) => this.#inSession(project, op)))
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#ask(project, asked, request)
      } catch (error) {
        if (!isVarveError(error, 'SESSION_CLOSED') || attempt === ADOPTIONS) throw error
        // The entry that closed it may not be seen here yet.
        await this.#clock.sleep(backoffMs(BACKOFF, attempt, this.#random))
        // A plan names trees in its text, and its author read more than it names: it plans again.
        const isPlan = asked.some(({ op }) => op === 'job.started')
        if (isPlan) await this.sessions.renew(project)
        const session = isPlan
          ? undefined
          : await this.sessions.adopt(project, asked.flatMap(rootsOf))
        if (session === undefined) throw error
        asked = asked.map((op) => (keepsBytes(op) ? { ...op, session } : op))
      }
    }
  }

  /** What this process wrote itself needs no telling of its session. */
  async #inSession(project: string, op: Op): Promise<Op> {
    if (!keepsBytes(op) || op.session !== undefined) return op
    if (op.op === 'commit.open')
      return { ...op, session: await this.#sessionOfNote(project, op.note) }
    const session = this.sessions.of(
      project,
      rootsOf(op).map(({ ref }) => ref),
    )
    return session === undefined ? op : { ...op, session }
  }

  /**
   * A message is stored before anybody opens a session for it. It is looked at where that is not known,
   * also in a project in which nobody closed one yet: that may be a new one.
   */
  async #sessionOfNote(project: string, note: TreeRef | null): Promise<Session> {
    if (note === null) return await this.sessions.open(project)
    const known = this.sessions.of(project, [note])
    const session = known ?? (await this.sessions.adopt(project, [{ ref: note, chunk: true }]))
    if (session !== undefined) return session
    throw new VarveError(
      'SESSION_CLOSED',
      'cannot keep the message of a commit: what it was stored with was collected meanwhile',
    )
  }

  async #ask(project: string, ops: readonly Op[], request: Request): Promise<VersionEntry> {
    const { id } = request
    const answer = await this.#log.propose(
      {
        project,
        id,
        ops,
        principal: request.principal,
        cause: request.cause ?? null,
        issuedAtMs: this.#clock.nowMs(),
        fingerprint: request.fingerprint ?? fingerprintOf(ops, this.#hash),
        machine: ops.length > 0 && ops.every(isMachineOp),
      },
      request.deadlineMs ?? DEADLINE_MS,
    )
    switch (answer.kind) {
      case 'decided': {
        const { decision } = answer.entry
        if ('yes' in decision) return answer.entry
        const { code, message, details } = decision.no
        throw new VarveError(code, message, details === undefined ? {} : { details })
      }
      case 'notice':
        throw new VarveError(answer.code, answer.message)
      case 'pending':
        throw new VarveError(
          'UNAVAILABLE',
          `cannot tell yet what became of request "${id}": send it again with the same id`,
          { details: { pending: true, id } },
        )
      default:
        return unreachable(answer)
    }
  }

  /** @throws VarveError NOT_FOUND_PROJECT */
  async #checkProject(name: string): Promise<void> {
    if (this.#known.has(name)) return
    if (await this.#reader.project(name, SYSTEM_PROJECT)) {
      this.#known.add(name)
      return
    }
    const names: string[] = []
    for await (const project of this.projects()) names.push(project.name)
    const near = nearest(name, names)
    throw new VarveError(
      'NOT_FOUND_PROJECT',
      `cannot find the project "${name}"${near === undefined ? '' : `; did you mean "${near}"`}`,
    )
  }

  async decisionOf(project: string, id: Id): Promise<VersionEntry | undefined> {
    await this.#checkProject(project)
    return await this.#log.decisionOf(project, id)
  }

  follow(project: string, after: number, signal: AbortSignal): AsyncIterable<VersionEntry> {
    return this.#log.follow(project, after, signal)
  }

  async watermark(project: string): Promise<number> {
    return (await this.#log.watermark(project)).seq
  }

  async *rebuild(
    project: string,
    { id, principal }: Request,
    check: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<RebuildStep> {
    await this.#checkProject(project)
    const machine = { project: projectEntries }
    yield* this.#log.rebuild(project, machine, { id, principal, check }, signal)
  }

  /** `default` first, then by name. */
  async *projects(): AsyncIterable<Project> {
    yield { name: DEFAULT_PROJECT, createdAtMs: 0 }
    yield* this.#reader.projects(SYSTEM_PROJECT)
  }

  repo(project: string, name: string): ReturnType<Versions['repo']> {
    return this.#reader.repo(project, name)
  }

  repos(project: string): ReturnType<Versions['repos']> {
    return this.#reader.repos(project)
  }

  branch(project: string, key: BranchKey): Promise<Branch | undefined> {
    return this.#reader.branch(project, key)
  }

  branches(project: string, repo: string): AsyncIterable<Branch> {
    return this.#reader.branches(project, repo)
  }

  commit(project: string, key: CommitKey): Promise<Commit | undefined> {
    return this.#reader.commit(project, key)
  }

  commits(
    project: string,
    repo: string,
    options: { branch?: string; limit?: number; beforeSeq?: number } = {},
  ): AsyncIterable<Commit> {
    return this.#reader.commits(project, repo, options)
  }

  commitSet(project: string, id: Id): Promise<Commit[]> {
    return this.#reader.commitSet(project, id)
  }

  subvenance(project: string, key: CommitKey): AsyncIterable<CommitKey> {
    return this.#reader.subvenance(project, key)
  }

  pipeline(project: string, name: string): ReturnType<Versions['pipeline']> {
    return this.#reader.pipeline(project, name)
  }

  pipelines(project: string): ReturnType<Versions['pipelines']> {
    return this.#reader.pipelines(project)
  }

  job(project: string, pipeline: string, id: Id): ReturnType<Versions['job']> {
    return this.#reader.job(project, pipeline, id)
  }

  jobs(
    project: string,
    pipeline: string,
    options: { limit?: number; beforeSeq?: number } = {},
  ): ReturnType<Versions['jobs']> {
    return this.#reader.jobs(project, pipeline, options)
  }

  datumTreeOf(
    project: string,
    pipeline: string,
    codeKey: string,
  ): ReturnType<Versions['datumTreeOf']> {
    return this.#reader.datumTreeOf(project, pipeline, codeKey)
  }

  datumTreesOf(project: string, pipeline: string): AsyncIterable<Job> {
    return this.#reader.datumTreesOf(project, pipeline)
  }

  spout(project: string, name: string): ReturnType<Versions['spout']> {
    return this.#reader.spout(project, name)
  }

  spouts(project: string): ReturnType<Versions['spouts']> {
    return this.#reader.spouts(project)
  }

  purge(project: string, id: Id): ReturnType<Versions['purge']> {
    return this.#reader.purge(project, id)
  }

  purges(project: string): ReturnType<Versions['purges']> {
    return this.#reader.purges(project)
  }

  egress(project: string, name: string): ReturnType<Versions['egress']> {
    return this.#reader.egress(project, name)
  }

  egresses(project: string): ReturnType<Versions['egresses']> {
    return this.#reader.egresses(project)
  }

  async resolve(project: string, ref: Ref): Promise<Commit> {
    await this.#checkProject(project)
    return await resolveRef(this.#reader, project, ref)
  }

  async commitFiles(
    project: string,
    branch: BranchKey,
    write: (writer: TreeWriter) => Promise<void>,
    request: Request,
    options: CommitOptions = {},
  ): Promise<Commit> {
    await this.#checkProject(project)
    const session = await this.sessions.open(project)
    const base = (await this.branch(project, branch))?.head?.root ?? null
    const change = await this.#write(base, write)
    return await this.#put(project, branch, { change, session }, request, options)
  }

  /** As `commitFiles`, of what is written already. */
  async commitRun(
    project: string,
    branch: BranchKey,
    run: TreeRef,
    request: Request,
    options: CommitOptions,
  ): Promise<Commit> {
    const session = await this.#sessionOf(project, run)
    const base = (await this.branch(project, branch))?.head?.root ?? null
    const { root, stats } = await this.objects.merge(base, [run], base)
    const change = { base, runs: [run], root, stats }
    return await this.#put(project, branch, { change, session }, request, options)
  }

  async #put(
    project: string,
    branch: BranchKey,
    { change, session }: { readonly change: Change; readonly session: Session },
    request: Request,
    options: CommitOptions,
  ): Promise<Commit> {
    const { note = null, ifParent, feed } = options
    const noted = note === null ? session : await this.#sessionOfNote(project, note)
    const op: Op = {
      op: 'commit.put',
      branch: { repo: branch.repo, branch: branch.branch },
      change,
      note,
      session: Math.min(session, noted),
      ...(ifParent === undefined ? {} : { ifParent }),
      ...(feed === undefined ? {} : { feed }),
    }
    const entry = await this.propose(project, [op], request)
    return must(committed(entry, { ...branch, id: request.id }), 'the commit in its own entry')
  }

  /** One author's writes on a tree, durable, merged onto it. */
  async #write(
    base: TreeRef | null,
    write: (writer: TreeWriter) => Promise<void>,
  ): Promise<Change> {
    const writer = this.objects.writer(base)
    await writeOrAbandon(writer, write)
    const { run, root, stats } = await writer.finishOnto(base)
    return { base, runs: [run], root, stats }
  }

  async stageFiles(
    project: string,
    commit: CommitKey,
    write: (writer: TreeWriter) => Promise<void>,
    request: Request,
  ): Promise<void> {
    const found = await this.#reader.commit(project, commit)
    if (found?.state !== 'open') throw notOpen(commit)
    const session = await this.sessions.open(project)
    const head = (await this.branch(project, commit))?.head?.root ?? null
    const base = await this.#stage.begin(project, found, head)
    const writer = this.objects.writer(base)
    await writeOrAbandon(writer, write)
    await this.#addRun(project, found, { run: await writer.finish(), session }, request)
  }

  /** As `stageFiles`, of what is written already. */
  async stageRun(
    project: string,
    commit: CommitKey,
    run: TreeRef,
    request: Request,
  ): Promise<void> {
    const found = await this.#reader.commit(project, commit)
    if (found?.state !== 'open') throw notOpen(commit)
    const head = (await this.branch(project, commit))?.head?.root ?? null
    await this.#stage.begin(project, found, head)
    const session = await this.#sessionOf(project, run)
    await this.#addRun(project, found, { run, session }, request)
  }

  /** Of what was written elsewhere it is not known: then it is looked at whole, once it has to be. */
  #sessionOf(project: string, run: TreeRef): Promise<Session> {
    return Promise.resolve(this.sessions.of(project, [run]) ?? 0)
  }

  async #addRun(
    project: string,
    commit: Commit,
    { run, session }: { readonly run: TreeRef; readonly session: Session },
    request: Request,
  ): Promise<void> {
    let as = session
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#stage.add(project, commit, run, request.id, as)
      } catch (error) {
        if (!isVarveError(error, 'SESSION_CLOSED') || attempt === ADOPTIONS) throw error
        await this.#clock.sleep(backoffMs(BACKOFF, attempt, this.#random))
        const adopted = await this.sessions.adopt(project, [{ ref: run }])
        if (adopted === undefined) throw error
        as = adopted
      }
    }
  }

  async closeSessions(project: string, request: Request): Promise<Session> {
    const entry = await this.propose(project, [{ op: 'sessions.close' }], request)
    for await (const { name } of this.repos(project))
      for await (const branch of this.branches(project, name)) {
        const open = await this.openCommit(project, branch)
        if (open?.state === 'open')
          await this.#stage.raise(project, open, branch.head?.root ?? null, entry.seq)
      }
    await this.uploads.raise(project, entry.seq)
    // Those who write through this process are spared a refusal.
    await this.sessions.renew(project)
    return entry.seq
  }

  stagedRuns(project: string, commit: CommitKey): AsyncIterable<TreeRef> {
    return this.#stage.runs(project, commit)
  }

  /** Any number may finish one commit, and each as often as it likes: all get the same commit. */
  async finishCommit(project: string, commit: CommitKey, request: Request): Promise<Commit> {
    const found = await this.#reader.commit(project, commit)
    if (!found) throw notOpen(commit)
    if (found.state !== 'open') {
      if (found.state === 'finished' && found.origin === 'user') return found
      throw notOpen(commit)
    }
    const session = await this.sessions.open(project)
    const head = (await this.branch(project, commit))?.head?.root ?? null
    const { base, runs } = await this.#stage.close(project, commit, head)
    const { root, stats } = await this.objects.merge(base, runs, base)
    const key = { repo: commit.repo, branch: commit.branch, id: commit.id }
    const change = { base, runs, root, stats }
    const op: Op = { op: 'commit.finish', commit: key, change, session }
    try {
      const entry = await this.propose(project, [op], request)
      return must(committed(entry, key), 'the commit in the entry that finished it')
    } catch (error) {
      if (!isVarveError(error, 'NOT_OPEN')) throw error
      const ended = await this.#reader.commit(project, commit)
      if (ended?.state === 'finished') return ended
      throw error
    }
  }

  /**
   * Decided first and closed after: a request that comes a second time must not close a commit that
   * was opened in between. Who stages meanwhile has staged before the end, or is refused.
   */
  async abandonCommit(project: string, commit: CommitKey, request: Request): Promise<Commit> {
    const key = { repo: commit.repo, branch: commit.branch, id: commit.id }
    const entry = await this.propose(project, [{ op: 'commit.abandon', commit: key }], request)
    const ended = must(endedIn(entry), 'the commit in the entry that ended it')
    await this.#stage.shut(project, ended, null)
    return ended
  }

  openCommit(project: string, branch: BranchKey): Promise<Commit | undefined> {
    return this.#reader.openCommit(project, branch)
  }
}

async function writeOrAbandon(
  writer: TreeWriter,
  write: (writer: TreeWriter) => Promise<void>,
): Promise<void> {
  try {
    await write(writer)
  } catch (error) {
    writer.abandon()
    throw error
  }
}

function endedIn(entry: VersionEntry): Commit | undefined {
  if (!('yes' in entry.decision)) return undefined
  for (const fact of entry.decision.yes) if (fact.f === 'commit.failed') return fact.commit
  return undefined
}

function committed(entry: VersionEntry, key: CommitKey): Commit | undefined {
  if (!('yes' in entry.decision)) return undefined
  for (const fact of entry.decision.yes)
    if (fact.f === 'commit.finished' && commitKey(fact.commit) === commitKey(key))
      return fact.commit
  return undefined
}
