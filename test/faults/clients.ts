// Clients that commit small files, one op after another, and ask again under the same id until each
// answer is definite. All they send and hear goes to the journal first.

import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { Random } from '../../src/base/random.ts'
import type { Client } from '../../src/client/client.ts'
import { idSource } from '../../src/model/id.ts'
import type { Answered, Journal, Sent } from './journal.ts'

/** The system under test, as its users reach it. */
export interface Target {
  readonly client: Client
  /** One attempt at one server. @throws when there is no answer in time */
  fetchOnce(path: string, init: RequestInit, limitMs: number): Promise<Response>
}

export const FILES_REPO = 'files'
const SHARED = ['shared-1', 'shared-2']
const ATTEMPT_MS = 10_000
const PAUSE_MS = 250

const ids = idSource(systemClock, systemRandom)
let ops = 0

type Wish = Pick<Sent, 'id' | 'branch' | 'path' | 'text' | 'expects'>

export interface ClientOptions {
  readonly name: string
  readonly target: Target
  readonly journal: Journal
  readonly random: Random
  /** Between ops, on average. */
  readonly thinkMs: number
}

export class CommittingClient {
  readonly #o: ClientOptions
  readonly #own: string
  /** What it may send again in some other way. */
  #last: Sent | undefined

  constructor(options: ClientOptions) {
    this.#o = options
    this.#own = `own-${options.name}`
  }

  /** Until the signal; the op in hand is brought to its answer. @throws when `give` is aborted before */
  async run(signal: AbortSignal, give: AbortSignal): Promise<void> {
    const { random, thinkMs } = this.#o
    await this.#commit(this.#wish(this.#own, `${this.#o.name}/first`), give)
    while (!signal.aborted) {
      await this.#commit(this.#next(), give)
      await sleep(random.next() * 2 * thinkMs)
    }
  }

  #next(): Wish {
    const { random, name } = this.#o
    const dice = random.next()
    if (dice < 0.05 && this.#last)
      return { ...this.#last, text: `${this.#last.text} changed`, expects: 'KEY_REUSED' }
    if (dice < 0.1)
      return { ...this.#wish(this.#own, `${name}/first/below`), expects: 'PATH_CONFLICT' }
    if (dice < 0.3) return this.#wish(this.#own, `${name}/again`)
    if (dice < 0.6) return this.#wish(this.#own, `${name}/${ops}`)
    const shared = SHARED[Math.floor(random.next() * SHARED.length)] as string
    return this.#wish(shared, dice < 0.7 ? 'together' : `${name}/${ops}`)
  }

  #wish(branch: string, path: string): Wish {
    const filler = '·'.repeat(this.#o.random.next() * 800)
    return { id: ids(), branch, path, text: `${this.#o.name} ${ops} ${filler}`, expects: 'yes' }
  }

  async #commit(wish: Wish, give: AbortSignal): Promise<void> {
    const { target, journal, name } = this.#o
    const op = ops++
    for (let attempt = 1; ; attempt++) {
      const sent: Sent = {
        kind: 'sent',
        op,
        attempt,
        client: name,
        repo: FILES_REPO,
        id: wish.id,
        branch: wish.branch,
        path: wish.path,
        text: wish.text,
        expects: wish.expects,
      }
      await journal.append(sent)
      const answer = await send(target, sent)
      await journal.append(answer)
      if (answer.answer === 'yes') this.#last = sent
      if (answer.answer !== 'unknown') return
      if (give.aborted)
        throw new Error(
          `op ${op} of ${name} has no definite answer after ${attempt} attempts; the last: ` +
            `${answer.status} ${answer.code ?? ''}`,
        )
      await sleep(PAUSE_MS)
    }
  }
}

/** One attempt, and what it means. */
export async function send(target: Target, sent: Sent): Promise<Answered> {
  const { op, attempt, repo, branch, path, text, id } = sent
  const at = `/api/v1/projects/default/repos/${repo}/branches/${branch}/file`
  const base = { kind: 'answered', op, attempt } as const
  try {
    const response = await target.fetchOnce(
      `${at}?path=${encodeURIComponent(path)}`,
      {
        method: 'PUT',
        body: text,
        headers: { 'idempotency-key': id, 'content-type': 'application/octet-stream' },
      },
      ATTEMPT_MS,
    )
    const { status } = response
    const body = (await response.json()) as { code?: string; commit?: string }
    if (status === 200)
      return { ...base, answer: 'yes', status, ...(body.commit ? { commit: body.commit } : {}) }
    const code = body.code === undefined ? {} : { code: body.code }
    // "Not now" and "not decided yet" are no answers; neither is a bug.
    const definite = status >= 400 && status < 500 && status !== 408 && status !== 429
    return { ...base, answer: definite ? 'no' : 'unknown', status, ...code }
  } catch (error) {
    return { ...base, answer: 'unknown', status: 0, code: (error as Error).name }
  }
}

/** Asks for definite answers once more: a decided id answers the same for ever. */
export async function askAgain(
  target: Target,
  journal: Journal,
  decided: readonly Sent[],
): Promise<void> {
  for (const one of decided) {
    const again = { ...one, attempt: one.attempt + 1000 }
    await journal.append(again)
    let answer = await send(target, again)
    for (let tries = 1; answer.answer === 'unknown' && tries < 20; tries++) {
      await sleep(PAUSE_MS)
      answer = await send(target, again)
    }
    await journal.append(answer)
  }
}
