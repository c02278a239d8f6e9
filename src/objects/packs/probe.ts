const PAYS_BELOW = 0.97
const GIVE_UP_AFTER = 3
const ASK_EVERY = 32

/**
 * Decides whether compressing pays. After three frames in a row that did not, frames are kept as they are,
 * and one in 32 is compressed for the sake of the answer alone: whoever waited for it would hold up all
 * those that come after it.
 */
export class Probe {
  #failures = 0
  #skipped = 0

  /** `try`: keep what is smaller; `ask`: keep it as it is and tell `learn` what compressing it gives. */
  next(): 'try' | 'ask' | 'skip' {
    if (this.#failures < GIVE_UP_AFTER) return 'try'
    this.#skipped = (this.#skipped + 1) % ASK_EVERY
    return this.#skipped === 0 ? 'ask' : 'skip'
  }

  /** Whether the compressed form is the one to keep. */
  learn(rawBytes: number, compressedBytes: number): boolean {
    const pays = compressedBytes < rawBytes * PAYS_BELOW
    this.#failures = pays ? 0 : this.#failures + 1
    return pays
  }
}
