// What whoever keeps workers is told: how much work there is, who may go, and who may come in.

import type { Demand, Foreman as ForemanPort } from '../exec/pools.ts'
import type { Census } from './census.ts'
import type { PoolBook } from './pool-book.ts'

export class Foreman implements ForemanPort {
  readonly #census: Census
  readonly #book: PoolBook
  readonly #sign: (pool: string, incarnation: string) => string

  /** `sign` makes the token of a pool's workers. */
  constructor(options: {
    census: Census
    book: PoolBook
    sign: (pool: string, incarnation: string) => string
  }) {
    this.#census = options.census
    this.#book = options.book
    this.#sign = options.sign
  }

  demand(): Promise<Demand> {
    return this.#census.demand()
  }

  retire(pool: string, hosts: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#book.retire(pool, hosts)
  }

  async admit(pool: string): Promise<string> {
    return this.#sign(pool, await this.#book.open(pool))
  }

  forget(pool: string): Promise<void> {
    return this.#book.forget(pool)
  }
}
