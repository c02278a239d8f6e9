// Hands messages over: those of a partition in order, one call at a time, the call again after a
// handler that threw. Invariants:
// - a partition's handled position moves only when the call that held everything below it returned;
// - a partition taken away begins no further call, and given again waits for the call that still runs.

import type { Clock } from '../../../base/clock.ts'
import type { BusMessage } from '../../bus.ts'

export type Handler = (messages: readonly BusMessage[]) => Promise<void>

/** What one fetch brought of a partition; `to` is behind it, also when no message was left in it. */
export interface Piece {
  readonly to: number
  readonly messages: readonly BusMessage[]
  readonly bytes: number
}

/** Messages handed over in one call. */
const CALL_MESSAGES = 1_000
/** A partition with more than this waiting is not fetched further. */
const PARTITION_BYTES = 1024 * 1024
const RETRY_FIRST_MS = 50
const RETRY_MAX_MS = 5_000

interface Lane {
  readonly pieces: Piece[]
  bytes: number
  handled: number
  /** Behind the last piece: where fetching goes on. */
  next: number
  live: boolean
}

export class Handing {
  readonly #handler: Handler
  readonly #clock: Clock
  /** Asked right before each call. */
  readonly #mayBegin: () => boolean
  readonly #lanes = new Map<number, Lane>()
  /** Calls under way, also of lanes that are gone. */
  readonly #running = new Map<number, Promise<void>>()
  /** Ends the pauses of calls that threw. */
  #hurry = new AbortController()
  #paused = false
  #bytes = 0

  constructor(handler: Handler, clock: Clock, mayBegin: () => boolean = () => true) {
    this.#handler = handler
    this.#clock = clock
    this.#mayBegin = mayBegin
  }

  /** The partitions now held, at their handled positions. */
  positions(): Map<number, number> {
    return new Map([...this.#lanes].map(([partition, lane]) => [partition, lane.handled]))
  }

  /** Where fetching goes on; undefined: not held. */
  next(partition: number): number | undefined {
    return this.#lanes.get(partition)?.next
  }

  begin(partition: number, position: number): void {
    this.end(partition)
    this.#lanes.set(partition, {
      pieces: [],
      bytes: 0,
      handled: position,
      next: position,
      live: true,
    })
  }

  end(partition: number): void {
    const lane = this.#lanes.get(partition)
    if (!lane) return
    lane.live = false
    this.#bytes -= lane.bytes
    this.#lanes.delete(partition)
  }

  hasRoom(partition: number): boolean {
    return (this.#lanes.get(partition)?.bytes ?? 0) < PARTITION_BYTES
  }

  /** What waits here altogether. */
  get bytes(): number {
    return this.#bytes
  }

  push(partition: number, piece: Piece): void {
    const lane = this.#lanes.get(partition)
    if (!lane) return
    lane.pieces.push(piece)
    lane.bytes += piece.bytes
    this.#bytes += piece.bytes
    lane.next = piece.to
    if (this.#running.has(partition)) return
    this.#start(partition)
  }

  /** No call begins until `resume`; a call refused by `mayBegin` pauses as well. */
  pause(): void {
    this.#paused = true
    this.#hurry.abort()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#hurry = new AbortController()
    for (const partition of this.#lanes.keys())
      if (!this.#running.has(partition)) this.#start(partition)
  }

  /** Until no call is under way, or the time is over. */
  async idle(limitMs: number): Promise<void> {
    if (this.#running.size === 0) return
    const enough = new AbortController()
    await Promise.race([
      Promise.all(this.#running.values()),
      this.#clock.sleep(limitMs, enough.signal),
    ])
    enough.abort()
  }

  /** For ever: no call begins any more. */
  close(): void {
    this.pause()
    for (const partition of this.#lanes.keys()) this.end(partition)
  }

  #start(partition: number): void {
    const running = this.#run(partition).finally(() => {
      this.#running.delete(partition)
      // Given again, or pushed to, while the last call of the lane before it ran.
      const lane = this.#lanes.get(partition)
      if (lane && lane.pieces.length > 0 && !this.#paused) this.#start(partition)
    })
    this.#running.set(partition, running)
  }

  async #run(partition: number): Promise<void> {
    const lane = this.#lanes.get(partition)
    if (!lane) return
    let retryMs = RETRY_FIRST_MS
    await Promise.resolve() // pieces of one answer go in one call
    while (lane.live && !this.#paused && lane.pieces.length > 0) {
      const { count, messages } = take(lane.pieces)
      try {
        if (messages.length > 0) {
          if (!this.#mayBegin()) return this.pause()
          await this.#handler(messages)
        }
        for (const piece of lane.pieces.splice(0, count)) {
          lane.bytes -= piece.bytes
          if (lane.live) this.#bytes -= piece.bytes
          lane.handled = piece.to
        }
        retryMs = RETRY_FIRST_MS
      } catch {
        // The port's promise: again after a handler that threw. The handler reports its own errors.
        await this.#clock.sleep(retryMs, this.#hurry.signal)
        retryMs = Math.min(RETRY_MAX_MS, retryMs * 2)
      }
    }
  }
}

/** As many pieces as go in one call; at least one. */
function take(pieces: readonly Piece[]): { count: number; messages: readonly BusMessage[] } {
  const [first] = pieces
  if (!first || pieces.length === 1) return { count: 1, messages: first?.messages ?? [] }
  const messages: BusMessage[] = []
  let count = 0
  for (const piece of pieces) {
    if (count > 0 && messages.length + piece.messages.length > CALL_MESSAGES) break
    for (const message of piece.messages) messages.push(message)
    count++
  }
  return { count, messages }
}
