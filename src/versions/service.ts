// The domain as every other room uses it: proposals in, rows and entries out.

import type { Branch, BranchKey, Commit, CommitKey, Project } from '../model/entities.ts'
import { commitKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import { DEFAULT_PROJECT, SYSTEM_PROJECT } from '../model/name.ts'
import type { Change, Fact, Op } from '../model/ops.ts'
import { isMachineOp } from '../model/ops.ts'
import type { Ref } from '../model/ref.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { must, unreachable } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError, isVarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Random } from '../base/random.ts'
import type { Log, RebuildStep } from '../log/machine.ts'
import type { Objects, TreeWriter } from '../objects/objects.ts'
import type { Tables } from '../tables/tables.ts'
import type { Hash } from './fingerprint.ts'
import { fingerprintOf } from './fingerprint.ts'
import { projectEntries } from './project.ts'
import { Reader } from './reader.ts'
import { resolveRef } from './resolve.ts'
import { Stage, notOpen } from './stage.ts'
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

export class VersionsService implements Versions {
  readonly objects: Objects
  readonly #log: Log<Op, Fact>
  readonly #clock: Clock
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
  }

  async propose(project: string, ops: readonly Op[], request: Request): Promise<VersionEntry> {
    await this.#checkProject(project)
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

  spout(project: string, name: string): ReturnType<Versions['spout']> {
    return this.#reader.spout(project, name)
  }

  spouts(project: string): ReturnType<Versions['spouts']> {
    return this.#reader.spouts(project)
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
    const base = (await this.branch(project, branch))?.head?.root ?? null
    const change = await this.#write(base, write)
    const { note = null, ifParent, feed } = options
    const op: Op = {
      op: 'commit.put',
      branch: { repo: branch.repo, branch: branch.branch },
      change,
      note,
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
    const head = (await this.branch(project, commit))?.head?.root ?? null
    const base = await this.#stage.begin(project, commit, head)
    const writer = this.objects.writer(base)
    await writeOrAbandon(writer, write)
    await this.#stage.add(project, commit, await writer.finish(), request.id)
  }

  /** Any number may finish one commit, and each as often as it likes: all get the same commit. */
  async finishCommit(project: string, commit: CommitKey, request: Request): Promise<Commit> {
    const found = await this.#reader.commit(project, commit)
    if (!found) throw notOpen(commit)
    if (found.state !== 'open') {
      if (found.state === 'finished' && found.origin === 'user') return found
      throw notOpen(commit)
    }
    const head = (await this.branch(project, commit))?.head?.root ?? null
    const { base, runs } = await this.#stage.close(project, commit, head)
    const { root, stats } = await this.objects.merge(base, runs, base)
    const key = { repo: commit.repo, branch: commit.branch, id: commit.id }
    const op: Op = { op: 'commit.finish', commit: key, change: { base, runs, root, stats } }
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
