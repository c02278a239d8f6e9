/** What is kept stands between what was used before it and after it. */
interface Kept<V> {
  readonly key: string
  readonly value: V
  readonly weight: number
  older: Kept<V> | undefined
  newer: Kept<V> | undefined
}

/** Keeps what was used last, up to a total weight (bytes, or entries of weight 1). */
export class Lru<V> {
  // Its own order is not used: to find the oldest in it takes the longer the more was deleted.
  readonly #kept = new Map<string, Kept<V>>()
  readonly #limit: number
  #oldest: Kept<V> | undefined
  #newest: Kept<V> | undefined
  #total = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: string): V | undefined {
    const found = this.#kept.get(key)
    if (!found) return undefined
    if (found !== this.#newest) {
      this.#unlink(found)
      this.#link(found)
    }
    return found.value
  }

  set(key: string, value: V, weight = 1): void {
    this.delete(key)
    if (weight > this.#limit) return
    const kept = { key, value, weight, older: undefined, newer: undefined }
    this.#kept.set(key, kept)
    this.#link(kept)
    this.#total += weight
    while (this.#total > this.#limit && this.#oldest) this.delete(this.#oldest.key)
  }

  delete(key: string): void {
    const found = this.#kept.get(key)
    if (!found) return
    this.#kept.delete(key)
    this.#unlink(found)
    this.#total -= found.weight
  }

  clear(): void {
    this.#kept.clear()
    this.#oldest = undefined
    this.#newest = undefined
    this.#total = 0
  }

  get weight(): number {
    return this.#total
  }

  #link(kept: Kept<V>): void {
    kept.older = this.#newest
    kept.newer = undefined
    if (this.#newest) this.#newest.newer = kept
    else this.#oldest = kept
    this.#newest = kept
  }

  #unlink({ older, newer }: Kept<V>): void {
    if (older) older.newer = newer
    else this.#oldest = newer
    if (newer) newer.older = older
    else this.#newest = older
  }
}
