// One follower: entries dense, in order, never above the watermark. The bus wakes it and brings the
// payload; a gap, a doubt or five quiet seconds make it read the log.

import { Signal } from '../base/async.ts'
import type { Entry } from './machine.ts'

/** A follower that lags this far lets go of what the bus brings and reads the log later. */
const HELD_ENTRIES = 4096

export class Follower<Fact> {
  readonly #wake = new Signal()
  #after: number
  #held: (readonly Entry<Fact>[])[] = []
  #heldEntries = 0
  #doubt = true
  #heardMs: number

  constructor(after: number, nowMs: number) {
    this.#after = after
    this.#heardMs = nowMs
  }

  /** The seq it stands at. */
  get after(): number {
    return this.#after
  }

  /** By the monotonic clock: when it last heard anything, or last read. */
  get heardMs(): number {
    return this.#heardMs
  }

  /** Takes a dense run from the bus. */
  push(run: readonly Entry<Fact>[], nowMs: number): void {
    if ((run.at(-1)?.seq ?? 0) <= this.#after) return
    this.#heardMs = nowMs
    if (this.#heldEntries + run.length > HELD_ENTRIES) {
      this.#forget()
      this.#doubt = true
    } else {
      this.#held.push(run)
      this.#heldEntries += run.length
    }
    this.#wake.ring()
  }

  /** Makes it read the log. */
  doubt(nowMs: number): void {
    this.#heardMs = nowMs
    this.#doubt = true
    this.#wake.ring()
  }

  wake(): void {
    this.#wake.ring()
  }

  wait(): Promise<void> {
    return this.#wake.wait()
  }

  /** The next entries at hand, and the cursor moves past them; 'read': the log must be asked. */
  take(): readonly Entry<Fact>[] | 'read' | undefined {
    for (;;) {
      const run = this.#held[0]
      if (!run) break
      const first = run[0]?.seq ?? 0
      const last = run.at(-1)?.seq ?? 0
      if (last > this.#after && first > this.#after + 1) {
        this.#forget()
        return 'read'
      }
      this.#held.shift()
      this.#heldEntries -= run.length
      if (last <= this.#after) continue
      const fresh = first === this.#after + 1 ? run : run.filter(({ seq }) => seq > this.#after)
      this.#after = last
      return fresh
    }
    if (!this.#doubt) return undefined
    this.#doubt = false
    return 'read'
  }

  /** What it held is in the log too. */
  #forget(): void {
    this.#held = []
    this.#heldEntries = 0
  }

  /** Entries read from the log, following on. */
  read(entries: readonly Entry<Fact>[], nowMs: number): void {
    this.#heardMs = nowMs
    this.#after = entries.at(-1)?.seq ?? this.#after
  }
}
