const PAYS_BELOW = 0.97
const GIVE_UP_AFTER = 3
const TRY_AGAIN_EVERY = 32

/** Decides whether compressing pays: after three frames in a row that did not, one in 32 is tried. */
export class Probe {
  #failures = 0
  #skipped = 0

  worthTrying(): boolean {
    if (this.#failures < GIVE_UP_AFTER) return true
    this.#skipped = (this.#skipped + 1) % TRY_AGAIN_EVERY
    return this.#skipped === 0
  }

  /** Whether the compressed form is the one to keep. */
  learn(rawBytes: number, compressedBytes: number): boolean {
    const pays = compressedBytes < rawBytes * PAYS_BELOW
    this.#failures = pays ? 0 : this.#failures + 1
    return pays
  }
}
