// One seeded scheduler for a whole system: a virtual clock, a queue of events, and processes that can
// die at any moment. Nothing happens but events, one at a time; after each all promises settle that
// can, so the same seed gives the same history, which a running hash of the trace proves.

import type { Clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { Random } from '../../src/base/random.ts'

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => void | Promise<void>
}

const EPOCH_MS = Date.UTC(2026, 0, 1)

/** A promise of a dead process: nobody will ever hear. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined)
}

export class World {
  readonly random: Random
  /** What was believed and is not so, found while it ran. */
  readonly violations: string[] = []
  readonly #events: Event[] = []
  #nowMs = 0
  #order = 0
  #hash = 0x811c9dc5
  eventsRun = 0
  readonly trace: string[] | undefined

  constructor(seed: number, options: { trace?: boolean } = {}) {
    this.random = seededRandom(seed)
    this.trace = options.trace ? [] : undefined
  }

  /** Milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** The true time of day. */
  get dayMs(): number {
    return EPOCH_MS + this.#nowMs
  }

  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  chance(probability: number): boolean {
    return probability > 0 && this.random.next() < probability
  }

  between(low: number, high: number): number {
    return low + this.random.next() * (high - low)
  }

  pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.random.next() * all.length)] as T
  }

  note(text: string): void {
    const line = `${this.#nowMs.toFixed(3)} ${text}`
    for (let i = 0; i < line.length; i++)
      this.#hash = Math.imul(this.#hash ^ line.charCodeAt(i), 0x01000193)
    this.trace?.push(line)
  }

  violate(checker: string, text: string): void {
    this.note(`VIOLATION ${checker}: ${text}`)
    this.violations.push(`${checker}: ${text}`)
  }

  after(ms: number, run: () => void | Promise<void>): void {
    const event = { atMs: this.#nowMs + ms, order: this.#order++, run }
    // A binary heap by (time, order).
    const heap = this.#events
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent] as Event)) break
      heap[at] = heap[parent] as Event
      at = parent
    }
    heap[at] = event
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }

  /** Runs events until `done`, or the time is up; true: done. */
  async run(done: () => boolean, untilMs: number): Promise<boolean> {
    await settled()
    while (!done()) {
      if ((this.#events[0]?.atMs ?? Infinity) > untilMs || this.isSpoilt) {
        this.#nowMs = Math.max(this.#nowMs, Math.min(untilMs, this.#events[0]?.atMs ?? untilMs))
        return false
      }
      const event = this.#next()
      if (!event) return false
      this.#nowMs = Math.max(this.#nowMs, event.atMs)
      this.eventsRun++
      void event.run()
      await settled()
    }
    return true
  }

  /** So much is wrong already that it is not run any further. */
  get isSpoilt(): boolean {
    return this.violations.length > 20
  }

  #next(): Event | undefined {
    const heap = this.#events
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || first === last) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event))
        child++
      if (!isBefore(heap[child] as Event, last)) break
      heap[at] = heap[child] as Event
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** All promises that can settle without an event have. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** One life of a process: after `crash` it does nothing and hears nothing any more. */
export class Life {
  readonly name: string
  readonly world: World
  readonly random: Random
  readonly clock: Clock
  readonly #onCrash: () => void
  #alive = true

  constructor(world: World, name: string, skewMs: number, onCrash: () => void) {
    this.name = name
    this.world = world
    this.random = seededRandom(Math.floor(world.random.next() * 2 ** 32))
    this.#onCrash = onCrash
    this.clock = {
      nowMs: () => world.dayMs + skewMs,
      monotonicMs: () => world.nowMs,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted) return resolve()
          const wake = (): void => {
            signal?.removeEventListener('abort', wake)
            if (this.#alive) resolve()
          }
          world.after(ms, wake)
          signal?.addEventListener('abort', wake)
        }),
    }
  }

  get isAlive(): boolean {
    return this.#alive
  }

  crash(): void {
    if (!this.#alive) return
    this.#alive = false
    this.world.note(`${this.name} crashes`)
    this.#onCrash()
  }
}

/** A name whose lives follow one another: crashed, it starts again from what is durable. */
export class Process {
  readonly name: string
  readonly world: World
  readonly #start: (life: Life) => void
  /** How far its clock is off; stays over restarts. */
  readonly skewMs: number
  life: Life | undefined
  crashes = 0

  constructor(world: World, name: string, skewMs: number, start: (life: Life) => void) {
    this.world = world
    this.name = name
    this.skewMs = skewMs
    this.#start = start
  }

  start(): void {
    if (this.life?.isAlive) return
    this.world.note(`${this.name} starts`)
    const life = new Life(this.world, this.name, this.skewMs, () => {
      this.crashes++
      this.world.after(this.world.between(50, 4_000), () => this.start())
    })
    this.life = life
    this.#start(life)
  }
}
