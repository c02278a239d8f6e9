// When a lane takes a snapshot, and that it holds nobody up: deciding rests only until the state and
// the log are at one point and the state's lists are copied (10^5 branches: some milliseconds); the
// copy is printed in slices and saved beside the lane.
//
// None is taken when a lane ends: the next one reads at most what weighs four times a snapshot, and an
// end that waits for a large state to be printed may be cut short by a kill.

import { say } from './diagnostics.ts'
import type { Saved, Snapshots } from './snapshots.ts'

/** A snapshot is due when the entries since the last weigh this many times its size. */
const WEIGHT = 4
const MIN_BYTES = 1024 * 1024

export class SnapshotKeeper {
  readonly #project: string
  readonly #snapshots: Snapshots
  readonly #minBytes: number
  #weightBytes = 0
  #snapshotBytes = 0
  #due = false
  #saving = false

  constructor(project: string, snapshots: Snapshots, minBytes = MIN_BYTES) {
    this.#project = project
    this.#snapshots = snapshots
    this.#minBytes = minBytes
  }

  /** Deciding rests until the state and the log are at one point, and `take`. */
  get due(): boolean {
    return this.#due
  }

  /** One is being saved. */
  get isSaving(): boolean {
    return this.#saving
  }

  /** The state was made from a snapshot of this size, and of blocks after it. */
  begin(snapshotBytes: number, sinceBytes: number): void {
    this.#snapshotBytes = snapshotBytes
    this.#weightBytes = 0
    this.#due = false
    if (sinceBytes > 0) this.weigh(sinceBytes)
  }

  /** So much was appended. */
  weigh(sizeBytes: number): void {
    this.#weightBytes += sizeBytes
    const least = Math.max(this.#minBytes, WEIGHT * this.#snapshotBytes)
    if (this.#weightBytes >= least && !this.#saving) this.#due = true
  }

  /** `saved.state` does not change any more, whatever becomes of the state. */
  take(saved: Omit<Saved, 'sizeBytes'>): void {
    this.#due = false
    this.#weightBytes = 0
    this.#saving = true
    void this.#save(saved)
  }

  async #save(saved: Omit<Saved, 'sizeBytes'>): Promise<void> {
    try {
      const bytes = await this.#snapshots.print(saved)
      this.#snapshotBytes = bytes.length
      await this.#snapshots.save(saved.head.seq, bytes)
    } catch (error) {
      say('anomaly', { project: this.#project, what: 'a snapshot was not saved', error })
    } finally {
      this.#saving = false
    }
  }
}
