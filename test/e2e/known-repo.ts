// A repo of which is known what was sent to it, what was acknowledged, and so what must be in it, whatever
// became of the server meanwhile.

import { expect } from 'vitest'
import { readTar } from '../../src/api/tar.ts'
import { writeTar } from '../../src/api/tar.ts'
import { concat } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { CommitView } from '../../src/api/commits.ts'
import type { GcView } from '../../src/api/gc.ts'
import type { Client } from '../../src/client/client.ts'
import { idSource } from '../../src/model/id.ts'

const project = 'default'
const newId = idSource(systemClock, systemRandom)

type Files = Readonly<Record<string, Uint8Array>>
/** Nobody knows how it ended between the two. */
type Answer = 'not asked' | 'asked' | 'acknowledged'

interface Put {
  readonly id: string
  readonly files: Files
  answer: Answer
}

interface Known {
  readonly id: string
  readonly branch: string
  readonly message: string | undefined
  /** Of a commit that was opened: those that were staged; else its only one. */
  readonly puts: Put[]
  readonly isStaged: boolean
  finished: Answer
  dropped: Answer
}

export class KnownRepo {
  readonly #client: () => Client
  readonly #name: string
  readonly #known = new Map<string, Known>()

  /** @param client as it is now: the server's address may change */
  constructor(client: () => Client, name: string) {
    this.#client = client
    this.#name = name
  }

  /** Made by now, or made once more. */
  async make(): Promise<void> {
    const body = { name: this.#name }
    const made = this.#client().call('POST /projects/:project/repos', { params: { project }, body })
    await made.catch((error: unknown) => {
      if (!isVarveError(error, 'ALREADY_EXISTS')) throw error
    })
  }

  async delete(): Promise<void> {
    const params = { project, repo: this.#name }
    await this.#client().call('DELETE /projects/:project/repos/:repo', { params, query: {} })
  }

  /** A commit of its own. @returns its id */
  async put(branch: string, files: Files, message?: string): Promise<string> {
    const id = newId()
    const put: Put = { id, files, answer: 'not asked' }
    const known: Known = {
      id,
      branch,
      message,
      puts: [put],
      isStaged: false,
      finished: 'not asked',
      dropped: 'not asked',
    }
    this.#known.set(id, known)
    await this.#send(known)
    return id
  }

  /** Opens a commit, to be staged for and finished. */
  async open(branch: string): Promise<string> {
    const id = newId()
    const open: Known = {
      id,
      branch,
      message: undefined,
      puts: [],
      isStaged: true,
      finished: 'not asked',
      dropped: 'not asked',
    }
    this.#known.set(id, open)
    const params = { project, repo: this.#name, branch }
    await this.#client().call('POST /projects/:project/repos/:repo/branches/:branch/commits', {
      params,
      body: {},
      idempotencyKey: id,
    })
    return id
  }

  async stage(commit: string, files: Files): Promise<void> {
    const known = this.#of(commit)
    const put: Put = { id: newId(), files, answer: 'not asked' }
    known.puts.push(put)
    const sent = await this.#upload(known, put)
    expect(sent).toMatchObject({ commit, finished: false })
  }

  async finish(commit: string): Promise<void> {
    const known = this.#of(commit)
    known.finished = 'asked'
    const params = { project, repo: this.#name, ref: commit }
    await this.#client().call('POST /projects/:project/repos/:repo/commits/:ref/finish', { params })
    known.finished = 'acknowledged'
  }

  async drop(commit: string): Promise<void> {
    const known = this.#of(commit)
    known.dropped = 'asked'
    const params = { project, repo: this.#name, ref: commit }
    const query = {}
    await this.#client().call('POST /projects/:project/repos/:repo/commits/:ref/drop', {
      params,
      query,
    })
    known.dropped = 'acknowledged'
  }

  /**
   * As an author goes on whose server was away: sends again what was not acknowledged, where `again` says
   * so, and finishes what is open.
   */
  async goOn(again: () => boolean): Promise<void> {
    for (const known of this.#known.values()) {
      if (known.finished === 'acknowledged') continue
      if (!known.isStaged) {
        if (again()) await this.#send(known)
        continue
      }
      const found = await this.#find(known.id)
      if (found?.state === 'open') await this.finish(known.id)
    }
  }

  /** Of so many commits the files can be read. @throws what is not as it must be */
  async check(): Promise<number> {
    const params = { project, repo: this.#name }
    const rows = new Map<string, CommitView>()
    const pages = this.#client().pages((after) =>
      this.#client().call('GET /projects/:project/repos/:repo/commits', {
        params,
        query: { after },
      }),
    )
    for await (const row of pages) rows.set(row.id, row)
    for (const known of this.#known.values())
      if (known.finished === 'acknowledged') expect(rows.has(known.id), known.id).toBe(true)
    let readable = 0
    const trees = new Map<string | null, Files>([[null, {}]])
    // Oldest first: a commit's parent stands before it.
    for (const row of [...rows.values()].toReversed()) {
      const known = this.#of(row.id)
      expect(row.state, `${this.#name}@${row.id}`).toBe('finished')
      const before = trees.get(row.parent)
      if (!before) throw new Error(`${row.id} has the parent ${row.parent}, which is not there`)
      if (known.dropped === 'acknowledged') expect(row.droppedAtMs).not.toBeNull()
      if (known.dropped === 'not asked') expect(row.droppedAtMs).toBeNull()
      const found = row.droppedAtMs === null ? await this.#read(row.id) : undefined
      if (found) readable++
      const expected = { ...before }
      for (const put of known.puts) {
        const isThere = !known.isStaged || put.answer === 'acknowledged' || !found
        if (isThere || Object.keys(put.files).some((path) => Object.hasOwn(found, path)))
          Object.assign(expected, put.files)
      }
      trees.set(row.id, expected)
      if (!found) continue
      expect(row.message ?? undefined).toBe(known.message)
      expectSameFiles(found, expected, `${this.#name}@${row.id}`)
    }
    return readable
  }

  #of(commit: string): Known {
    const known = this.#known.get(commit)
    if (!known) throw new Error(`nobody asked for the commit ${commit} of ${this.#name}`)
    return known
  }

  async #send(known: Known): Promise<void> {
    const [put] = known.puts
    if (!put) return
    known.finished = 'asked'
    const sent = await this.#upload(known, put)
    expect(sent).toMatchObject({ commit: known.id, finished: true })
    known.finished = 'acknowledged'
  }

  async #upload({ branch, message }: Known, put: Put): Promise<{ commit: string }> {
    put.answer = 'asked'
    const sent = await this.#client().upload(
      'PUT /projects/:project/repos/:repo/branches/:branch/files',
      {
        params: { project, repo: this.#name, branch },
        query: { message },
        content: await archive(put.files),
        idempotencyKey: put.id,
      },
    )
    put.answer = 'acknowledged'
    return sent
  }

  async #find(ref: string): Promise<CommitView | undefined> {
    const params = { project, repo: this.#name, ref }
    try {
      return await this.#client().call('GET /projects/:project/repos/:repo/commits/:ref', {
        params,
      })
    } catch (error) {
      if (isVarveError(error, 'NOT_FOUND_COMMIT')) return undefined
      throw error
    }
  }

  async #read(ref: string): Promise<Files> {
    const params = { project, repo: this.#name, ref }
    const { content } = await this.#client().download(
      'GET /projects/:project/repos/:repo/commits/:ref/files',
      { params, query: {} },
    )
    const files: Record<string, Uint8Array> = {}
    for await (const { path, content: bytes } of readTar(content))
      files[path] = bytes instanceof Uint8Array ? bytes : concat(await Array.fromAsync(bytes))
    return files
  }
}

async function archive(files: Files): Promise<Uint8Array> {
  const all = Object.entries(files).map(([path, content]) => ({
    path,
    sizeBytes: content.length,
    content,
  }))
  async function* each(): AsyncGenerator<(typeof all)[number]> {
    yield* all
  }
  return concat(await Array.fromAsync(writeTar(each())))
}

function expectSameFiles(found: Files, expected: Files, where: string): void {
  expect(Object.keys(found).toSorted(), where).toEqual(Object.keys(expected).toSorted())
  for (const [path, bytes] of Object.entries(expected))
    if (Buffer.compare(found[path] as Uint8Array, bytes) !== 0)
      throw new Error(`${where}:/${path} is not what was put`)
}

/** One round, without time for writers to learn. */
export async function collectGarbage(client: Client): Promise<GcView> {
  const steps = await Array.fromAsync(client.lines('POST /gc', { query: { waitMs: 0 } }))
  return lastOf(steps)
}

/** Until nothing is left that nobody names. @returns the packs there are */
export async function collectAll(client: Client): Promise<number> {
  // What an author sent twice because of a round is for the next one.
  for (let rounds = 0; rounds < 3; rounds++) await collectGarbage(client)
  const steps = await Array.fromAsync(client.lines('POST /gc', { query: { plan: true } }))
  const plan = lastOf(steps)
  expect(plan).toMatchObject({ unused: 0, underHalf: 0, leftovers: 0 })
  return plan.packs
}

function lastOf(steps: readonly GcView[]): GcView {
  const last = steps.at(-1)
  expect(last).toMatchObject({ phase: 'done' })
  return last as GcView
}

/** Everything that is named is there and whole. */
export async function expectWhole(client: Client): Promise<void> {
  const findings = await Array.fromAsync(client.lines('GET /verify', { query: {} }))
  expect(findings.filter(({ kind }) => kind !== 'progress' && kind !== 'done')).toEqual([])
  expect(findings.at(-1)).toMatchObject({ kind: 'done', damaged: 0, missing: 0, hurt: 0 })
}

/** Waits for all of them, and throws what the first one threw. */
export async function everyOne(works: readonly Promise<unknown>[]): Promise<void> {
  const ended = await Promise.allSettled(works)
  for (const one of ended) if (one.status === 'rejected') throw one.reason
}
