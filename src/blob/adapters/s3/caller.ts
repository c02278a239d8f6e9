// How every request is sent: bounded in number, bounded in time, repeated and hedged within budgets.
//
//   an operation = attempts until one succeeds, a final fault, `giveUpMs`, or an empty retry budget
//   an attempt   = one request, and for reads a second one when the first is late; first answer wins
//
// Every request of this room may be sent twice: keys are used once, so a repeated or late put writes
// the same bytes again, and a repeated delete finds nothing.

import { channel } from 'node:diagnostics_channel'
import { Semaphore } from '../../../base/async.ts'
import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import { backoffMs } from '../../../base/retry.ts'
import { ExtraBudget } from './budget.ts'
import { TooLate, faultOf, s3Error } from './fault.ts'
import type { Fault } from './fault.ts'
import { Lateness } from './lateness.ts'
import type { S3Pace } from './options.ts'
import { UPLOAD_BYTES_PER_S } from './options.ts'

/** Each request as it ends, while somebody listens: an S3Request. */
const requests = channel('varve:s3:request')

export interface S3Request {
  readonly name: string
  readonly attempt: number
  readonly hedge: boolean
  readonly outcome: Fault['kind'] | 'ok' | 'lost'
  readonly durationMs: number
}

export interface Operation {
  /** Of the API: `GetObject`. */
  readonly name: string
  /** For messages: `read "packs/x" of bucket "b"`. */
  readonly doing: string
  /** What the keys must be allowed, when they are not: `s3:GetObject`. */
  readonly action: string
  /** Late answers are asked for a second time. */
  readonly hedge?: boolean
  readonly uploadBytes?: number
}

/** A reason made once: without one each abort would make an error with a stack. */
const OVER = new Error('another request has answered')

/** One request. Calls `answered` when the head of the answer is there; its body has idle limits of its own. */
export type Send<T> = (signal: AbortSignal, answered: () => void) => Promise<T>

type Answer<T> =
  | { readonly value: T }
  | { readonly fault: Fault & { kind: 'absent' | 'beyond' }; readonly cause: unknown }

export class Caller {
  readonly #pace: S3Pace
  readonly #clock: Clock
  readonly #random: Random
  readonly #reads: Semaphore
  readonly #writes: Semaphore
  readonly #retries: ExtraBudget
  readonly #hedges: ExtraBudget
  readonly #late = new Lateness()

  constructor(pace: S3Pace, clock: Clock, random: Random) {
    this.#pace = pace
    this.#clock = clock
    this.#random = random
    this.#reads = new Semaphore(pace.reads)
    this.#writes = new Semaphore(pace.writes)
    this.#retries = new ExtraBudget(clock, { capacity: 100, share: 0.1, perSecond: 2 })
    this.#hedges = new ExtraBudget(clock, { capacity: 5, share: 0.05, perSecond: 0 })
  }

  /** @throws VarveError UNAVAILABLE, DISK_FULL, TOO_LARGE */
  async call<T>(operation: Operation, send: Send<T>): Promise<T> {
    const answer = await this.#run(operation, send)
    if ('fault' in answer) throw s3Error(operation.doing, answer.fault, answer.cause)
    return answer.value
  }

  /** As `call`, where an absent object or range is an answer. */
  async ask<T>(operation: Operation, send: Send<T>): Promise<T | 'absent' | 'beyond'> {
    const answer = await this.#run(operation, send)
    return 'fault' in answer ? answer.fault.kind : answer.value
  }

  async #run<T>(operation: Operation, send: Send<T>): Promise<Answer<T>> {
    const startMs = this.#clock.monotonicMs()
    if (operation.hedge === true) this.#hedges.asked()
    this.#retries.asked()
    for (let attempt = 0; ; attempt++) {
      try {
        return { value: await this.#attempt(operation, attempt, send) }
      } catch (error) {
        const fault = faultOf(error)
        if (fault.kind === 'absent' || fault.kind === 'beyond') return { fault, cause: error }
        if (fault.kind === 'final')
          throw s3Error(operation.doing, explained(fault, operation), error)
        const base = fault.slow ? { firstMs: 500, maxMs: 10_000 } : { firstMs: 100, maxMs: 5_000 }
        const waitMs = backoffMs(base, attempt, this.#random)
        const isOver = this.#clock.monotonicMs() - startMs + waitMs > this.#pace.giveUpMs
        const isBroke = !isOver && !this.#retries.take()
        if (isOver || isBroke) {
          const why = isBroke ? 'too many requests fail to repeat them all' : 'it stayed so'
          const text = `${fault.text}; ${attempt + 1} attempts, ${why}`
          throw s3Error(operation.doing, { ...fault, text }, error)
        }
        await this.#clock.sleep(waitMs)
      }
    }
  }

  async #attempt<T>(operation: Operation, attempt: number, send: Send<T>): Promise<T> {
    const gate = operation.hedge === true ? this.#reads : this.#writes
    return gate.with(() =>
      operation.hedge === true
        ? this.#hedged(operation, attempt, send)
        : this.#request(operation, attempt, false, send, new AbortController()),
    )
  }

  /** A second request when the first is late; the first success wins and the other is aborted. */
  async #hedged<T>(operation: Operation, attempt: number, send: Send<T>): Promise<T> {
    const first = new AbortController()
    const second = new AbortController()
    const patience = new AbortController()
    const request = this.#request(operation, attempt, false, send, first, () =>
      patience.abort(OVER),
    )
    const quick = request.then(
      () => true,
      () => true,
    )
    const { hedgeMinMs, hedgeMaxMs } = this.#pace
    const patienceMs = Math.max(hedgeMinMs, Math.min(hedgeMaxMs, this.#late.p95Ms ?? hedgeMaxMs))
    const waited = this.#clock.sleep(patienceMs, patience.signal).then(() => false)
    const isSettled = await Promise.race([quick, waited])
    if (isSettled) {
      patience.abort(OVER)
      return request
    }
    if (patience.signal.aborted || !this.#hedges.take()) return request
    try {
      return await Promise.any([request, this.#request(operation, attempt, true, send, second)])
    } catch (error) {
      // Both failed: what the store said to the first is as good as any.
      throw error instanceof AggregateError ? error.errors[0] : error
    } finally {
      first.abort(OVER)
      second.abort(OVER)
    }
  }

  async #request<T>(
    operation: Operation,
    attempt: number,
    hedge: boolean,
    send: Send<T>,
    stop: AbortController,
    onAnswer?: () => void,
  ): Promise<T> {
    const startMs = this.#clock.monotonicMs()
    const uploadMs = ((operation.uploadBytes ?? 0) / UPLOAD_BYTES_PER_S) * 1000
    const limitMs = this.#pace.answerTimeoutMs + uploadMs
    let late: TooLate | undefined
    let isAnswered = false
    const timer = setTimeout(() => {
      late = new TooLate(`no answer within ${limitMs} ms`)
      stop.abort(late)
    }, limitMs)
    const answered = (): void => {
      if (isAnswered) return
      isAnswered = true
      clearTimeout(timer)
      if (operation.hedge === true) this.#late.add(this.#clock.monotonicMs() - startMs)
      onAnswer?.()
    }
    let outcome: S3Request['outcome'] = 'ok'
    try {
      return await send(stop.signal, answered)
    } catch (error) {
      outcome = late === undefined && stop.signal.aborted ? 'lost' : faultOf(late ?? error).kind
      throw late ?? error
    } finally {
      clearTimeout(timer)
      if (requests.hasSubscribers) {
        const durationMs = this.#clock.monotonicMs() - startMs
        const { name } = operation
        requests.publish({ name, attempt, hedge, outcome, durationMs } satisfies S3Request)
      }
    }
  }
}

function explained(fault: Fault & { kind: 'final' }, { action }: Operation): Fault {
  const isDenied = fault.text.startsWith('access denied')
  return isDenied ? { ...fault, text: `${fault.text}; the keys need ${action}` } : fault
}
