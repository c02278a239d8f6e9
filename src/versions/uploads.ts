// Uploads: content too much for one request, or for one connection that may break. It comes in numbered
// parts, in any order, each safe once it is acknowledged; nobody sees anything before it is finished,
// and then all of it is one commit. State is in rows and packs only, so any process goes on with it.
//
// Invariants:
//  - each part is a tree of puts, so all of them come together to one run, however they were cut;
//  - finishing writes down first under which request the commit is proposed: whoever finishes again,
//    after whatever crash, gets the same commit;
//  - it is born `opening`, and takes parts only of sessions that are not before the entry the log had come
//    to by then: whoever closes sessions has either met it or is behind that entry;
//  - what a part holds is kept from collection until the upload has ended: `roots` tells of it.

import { assert } from '../base/assert.ts'
import { utf8 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import type { BranchKey, Commit, CommitKey } from '../model/entities.ts'
import type { Id } from '../model/id.ts'
import { parsePath } from '../model/path.ts'
import type { Session } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Objects, TreeWriter } from '../objects/objects.ts'
import type { Tables } from '../tables/tables.ts'
import { lackOf, runOf } from './upload-content.ts'
import type { Guard, Part, PartAbout } from './upload-rows.ts'
import { noUpload, UploadRows } from './upload-rows.ts'
import type { CommitOptions, Request, Versions } from './versions.ts'

/** What is not touched for so long has ended. */
const EXPIRE_MS = 7 * 24 * 3_600_000
export const MAX_PARTS = 1_000_000
/** Of a larger file the version before is not looked at for chunks that are there already. */
const DEDUP_FILE_BYTES = 16 * 2 ** 30
const BACKOFF = { firstMs: 2, maxMs: 250 }
const ADOPTIONS = 8

export interface Upload {
  readonly id: Id
  readonly repo: string
  readonly branch: string
  readonly source: string
  readonly parts: number
  readonly files: number
  readonly bytes: number
  readonly openedAtMs: number
  /** When it ends if nothing more comes. */
  readonly expiresAtMs: number
}

export interface UploadMade {
  readonly commit: Id
  /** False: it went into the commit that was open. */
  readonly finished: boolean
  readonly files: number
  readonly bytes: number
}

/** A whole content on its way in, written by whoever knows its form. */
export interface PartWork {
  /** Writes it, and then knows what it was. */
  write(writer: TreeWriter): Promise<PartAbout>
  /** Reads it without keeping anything: a part of this number is there. */
  read(): Promise<Pick<PartAbout, 'sha256'>>
}

/** How a run becomes a commit. */
export interface RunCommits {
  commitRun(
    project: string,
    branch: BranchKey,
    run: TreeRef,
    request: Request,
    options: CommitOptions,
  ): Promise<Commit>
  stageRun(project: string, commit: CommitKey, run: TreeRef, request: Request): Promise<void>
}

type Commits = RunCommits & Pick<Versions, 'branch' | 'openCommit' | 'decisionOf' | 'sessions'>

export class Uploads {
  readonly #rows: UploadRows
  readonly #objects: Objects
  readonly #clock: Clock
  readonly #random: Random
  readonly #commits: Commits

  constructor(
    options: { tables: Tables; objects: Objects; clock: Clock; random: Random },
    commits: Commits,
  ) {
    this.#rows = new UploadRows(options)
    this.#objects = options.objects
    this.#clock = options.clock
    this.#random = options.random
    this.#commits = commits
  }

  /** Its id is the request's: asked twice, it is the same one. */
  async open(
    project: string,
    { repo, branch }: BranchKey,
    { source, message }: { readonly source: string; readonly message: string },
    { id }: Request,
  ): Promise<Upload> {
    await this.#expire(project, this.#rows.beside(project, id))
    const nowMs = Math.floor(this.#clock.nowMs())
    const to: Guard = {
      id,
      state: 'opening',
      parts: 0,
      closed: 0,
      touchedAtMs: nowMs,
      request: null,
      about: {
        repo,
        branch,
        source,
        message,
        openedAtMs: nowMs,
        files: 0,
        bytes: 0,
        made: null,
        into: null,
      },
    }
    let guard = (await this.#rows.change(project, undefined, to)) ?? to
    while (guard.state === 'opening') {
      const closed = Math.max(guard.closed, await this.#commits.sessions.renew(project))
      const opened: Guard = { ...guard, state: 'open', closed }
      guard = (await this.#rows.change(project, guard, opened)) ?? opened
    }
    return uploadOf(guard)
  }

  /** From here on no part that was written in a session before is added to any. */
  async raise(project: string, before: Session): Promise<void> {
    for await (const one of this.#rows.guards(project)) {
      let guard: Guard | undefined = one
      while (guard && takesParts(guard) && guard.closed < before)
        guard = await this.#rows.change(project, guard, { ...guard, closed: before })
    }
  }

  /** Those that take parts, or whose finish has not ended: of a branch, a repo, or all. */
  async *list(project: string, of: Partial<BranchKey>): AsyncGenerator<Upload> {
    for await (const guard of this.#rows.guards(project)) {
      const { repo = guard.about.repo, branch = guard.about.branch } = of
      const isAsked = isOf(guard, { repo, branch })
      if (isAsked && isUnderWay(guard) && !this.#isStale(guard)) yield uploadOf(guard)
    }
  }

  /** @throws VarveError NOT_FOUND_UPLOAD */
  async get(project: string, branch: BranchKey, id: Id): Promise<Upload> {
    return uploadOf(await this.#known(project, branch, id))
  }

  /** The parts that are safe, in order of their numbers. @throws VarveError NOT_FOUND_UPLOAD */
  async *parts(project: string, branch: BranchKey, id: Id): AsyncGenerator<Part> {
    yield* this.#rows.parts(project, await this.#known(project, branch, id))
  }

  /**
   * The part is safe when this returns, or was before. `path`: of the file it is a piece of.
   * @throws VarveError NOT_FOUND_UPLOAD, NOT_OPEN, SESSION_CLOSED, ALREADY_EXISTS: another content has
   * this number
   */
  async add(
    project: string,
    branch: BranchKey,
    id: Id,
    part: number,
    work: PartWork,
    path?: string,
  ): Promise<Part> {
    assert(part >= 0 && part < MAX_PARTS, 'a number of a part')
    let guard = await this.#open(project, branch, id)
    const there = await this.#rows.part(project, id, part)
    if (there) return same(there, await work.read())
    const { sessions } = this.#commits
    let session = await sessions.open(project)
    const writer = this.#objects.writer(await this.#baseOf(project, branch, path))
    let about: PartAbout
    try {
      about = await work.write(writer)
    } catch (error) {
      writer.abandon()
      throw error
    }
    const added: Part = { ...about, part, root: await writer.finish() }
    for (let attempt = 0; ; attempt++) {
      if (session < guard.closed) {
        const adopted = await sessions.adopt(project, [{ ref: added.root }])
        if (adopted === undefined || attempt === ADOPTIONS) throw sessionClosed(guard, session)
        session = adopted
        await this.#clock.sleep(backoffMs(BACKOFF, attempt, this.#random))
        continue
      }
      const { files, bytes } = guard.about
      const to: Guard = {
        ...guard,
        parts: guard.parts + 1,
        touchedAtMs: Math.floor(this.#clock.nowMs()),
        about: { ...guard.about, files: files + about.files, bytes: bytes + about.sizeBytes },
      }
      const against = await this.#rows.change(project, guard, to, added)
      if (!against) return added
      if (against.state !== 'open') throw hasEnded(against)
      guard = against
      const meanwhile = await this.#rows.part(project, id, part)
      if (meanwhile) return same(meanwhile, about)
      await this.#clock.sleep(backoffMs(BACKOFF, attempt, this.#random))
    }
  }

  /** The tree whose chunks need not be stored again. */
  async #baseOf(project: string, branch: BranchKey, path?: string): Promise<TreeRef | null> {
    const head = (await this.#commits.branch(project, branch))?.head?.root ?? null
    if (path === undefined) return head
    const before = await this.#objects.stat(head, parsePath(path))
    return before?.kind === 'file' && before.sizeBytes <= DEDUP_FILE_BYTES ? head : null
  }

  /**
   * Parts 0 … parts − 1, all of them, become one commit, or go into the open one of the branch.
   * @throws VarveError INVALID_OPTION when they are not what there is, NOT_FOUND_UPLOAD, NOT_OPEN
   */
  async finish(
    project: string,
    branch: BranchKey,
    id: Id,
    parts: number,
    request: Request,
  ): Promise<UploadMade> {
    let guard = await this.#known(project, branch, id)
    while (guard.state === 'open') {
      const lack = await lackOf(this.#rows.parts(project, guard), guard.parts, parts)
      if (lack) throw notAll(guard, lack)
      const open = await this.#commits.openCommit(project, branch)
      const to: Guard = {
        ...guard,
        state: 'finishing',
        touchedAtMs: Math.floor(this.#clock.nowMs()),
        request: request.id,
        about: { ...guard.about, into: open?.id ?? null },
      }
      guard = (await this.#rows.change(project, guard, to)) ?? to
    }
    if (guard.state === 'finishing') guard = await this.#commit(project, guard, request.principal)
    const { made, files, bytes } = guard.about
    if (guard.state !== 'done' || !made) throw hasEnded(guard)
    return { ...made, files, bytes }
  }

  /** Gives it up. @throws VarveError NOT_FOUND_UPLOAD, NOT_OPEN: its finish has begun */
  async drop(project: string, branch: BranchKey, id: Id): Promise<void> {
    let guard = await this.#known(project, branch, id)
    while (guard.state !== 'dropped') {
      if (!takesParts(guard)) throw hasEnded(guard)
      const to: Guard = { ...guard, state: 'dropped', touchedAtMs: Math.floor(this.#clock.nowMs()) }
      guard = (await this.#rows.change(project, guard, to)) ?? to
    }
    await this.#rows.remove(project, guard)
  }

  /**
   * Every tree that uploads of a project keep from collection. What has expired is ended first, by a
   * change of its guard: nothing can be added to it, or made of it, any more.
   */
  async *roots(project: string): AsyncGenerator<TreeRef> {
    await this.#expire(project, this.#rows.guards(project))
    for await (const guard of this.#rows.guards(project)) {
      if (!isUnderWay(guard)) continue
      for await (const { root } of this.#rows.parts(project, guard)) yield root
    }
  }

  #isStale({ touchedAtMs }: Guard): boolean {
    return this.#clock.nowMs() - touchedAtMs > EXPIRE_MS
  }

  async #expire(project: string, guards: AsyncIterable<Guard>): Promise<void> {
    for await (const guard of guards) {
      if (!this.#isStale(guard) && guard.state !== 'dropped') continue
      const to: Guard = { ...guard, state: 'dropped' }
      if (!isUnderWay(guard) || !(await this.#rows.change(project, guard, to)))
        await this.#rows.remove(project, isUnderWay(guard) ? to : guard)
    }
  }

  async #known(project: string, branch: BranchKey, id: Id): Promise<Guard> {
    const guard = await this.#rows.guard(project, id)
    if (!guard || !isOf(guard, branch) || guard.state === 'dropped') throw noUpload(id)
    return guard
  }

  async #open(project: string, branch: BranchKey, id: Id): Promise<Guard> {
    const guard = await this.#known(project, branch, id)
    if (guard.state !== 'open') throw hasEnded(guard)
    return guard
  }

  /** @returns how it ended. @throws VarveError after which it is open again, or is finished again */
  async #commit(project: string, guard: Guard, principal: string): Promise<Guard> {
    const { id, request, about } = guard
    assert(request, 'the request of a finishing upload')
    const { repo, branch, into, message } = about
    const asked: Request = { id: request, principal, fingerprint: `upload ${id}` }
    const end = async (change: Partial<Guard>): Promise<Guard> => {
      const to = { ...guard, ...change, touchedAtMs: Math.floor(this.#clock.nowMs()) }
      return (await this.#rows.change(project, guard, to)) ?? to
    }
    try {
      const before = into === null ? await this.#commits.decisionOf(project, request) : undefined
      if (!before || !('yes' in before.decision)) {
        const run = await runOf(this.#objects, this.#rows.parts(project, guard))
        const note = message === '' ? null : await this.#objects.putBytes(utf8(message))
        if (into === null)
          await this.#commits.commitRun(project, { repo, branch }, run, asked, { note })
        else await this.#commits.stageRun(project, { repo, branch, id: into }, run, asked)
      }
    } catch (error) {
      // Refused for good, under this request: another may do better.
      if (error instanceof VarveError && FINAL.has(error.spec.kind))
        await end({ state: 'open', request: null, about: { ...about, into: null } })
      throw error
    }
    const made = { commit: into ?? request, finished: into === null }
    return end({ state: 'done', about: { ...about, made } })
  }
}

const FINAL: ReadonlySet<string> = new Set(['invalid', 'not-found', 'conflict', 'denied'])

function same(there: Part, { sha256 }: Pick<PartAbout, 'sha256'>): Part {
  if (there.sha256 === sha256) return there
  throw new VarveError(
    'ALREADY_EXISTS',
    `cannot take part ${there.part}: another content is there under this number`,
  )
}

function isOf({ about }: Guard, { repo, branch }: BranchKey): boolean {
  return about.repo === repo && about.branch === branch
}

function takesParts({ state }: Guard): boolean {
  return state === 'opening' || state === 'open'
}

function isUnderWay(guard: Guard): boolean {
  return takesParts(guard) || guard.state === 'finishing'
}

function notAll({ id }: Guard, lack: string): VarveError {
  return new VarveError('INVALID_OPTION', `cannot finish the upload "${id}": ${lack}`)
}

function hasEnded({ id, state }: Guard): VarveError {
  const why = state === 'finishing' ? 'its finish has begun; finish it again' : `it is ${state}`
  return new VarveError('NOT_OPEN', `cannot change the upload "${id}": ${why}`)
}

function sessionClosed({ id, closed }: Guard, session: Session): VarveError {
  return new VarveError(
    'SESSION_CLOSED',
    `cannot add to the upload "${id}" what was written as of entry ${session}: sessions before ${closed} are closed`,
  )
}

function uploadOf({ id, parts, touchedAtMs, about }: Guard): Upload {
  const { repo, branch, source, files, bytes, openedAtMs } = about
  const expiresAtMs = touchedAtMs + EXPIRE_MS
  return { id, repo, branch, source, parts, files, bytes, openedAtMs, expiresAtMs }
}
