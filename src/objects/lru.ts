/** Keeps what was used last, up to a total weight (bytes, or entries of weight 1). */
export class Lru<V> {
  readonly #kept = new Map<string, { readonly value: V; readonly weight: number }>()
  readonly #limit: number
  #total = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: string): V | undefined {
    const found = this.#kept.get(key)
    if (!found) return undefined
    // A Map iterates in order of insertion: putting it in again makes it the newest.
    this.#kept.delete(key)
    this.#kept.set(key, found)
    return found.value
  }

  set(key: string, value: V, weight = 1): void {
    this.delete(key)
    if (weight > this.#limit) return
    this.#kept.set(key, { value, weight })
    this.#total += weight
    for (const [oldest, { weight: freed }] of this.#kept) {
      if (this.#total <= this.#limit) break
      this.#kept.delete(oldest)
      this.#total -= freed
    }
  }

  delete(key: string): void {
    const found = this.#kept.get(key)
    if (!found) return
    this.#kept.delete(key)
    this.#total -= found.weight
  }

  get weight(): number {
    return this.#total
  }
}
