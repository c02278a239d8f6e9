// A sink in memory that can fail, be slow to count, and lose what was not committed.

import { sinkSpec } from '../../src/connector/mod.ts'
import type { Connector, Coordinates, Trouble } from '../../src/connector/mod.ts'

export class ToySink {
  /** Ids and values as written, repeats included. */
  readonly written: { id: string; value: string }[] = []
  readonly opened: (Coordinates | null)[] = []
  commits = 0
  /** Asked before each write; a trouble is given instead of writing. */
  refuse: (write: number) => Trouble | null = () => null
  /** Waited for before each write. */
  before: () => Promise<void> = async () => {}
  #writes = 0

  connector(): Connector {
    return {
      name: 'toy',
      summary: 'a sink of the tests',
      source: null,
      sink: sinkSpec({
        delivery: 'in memory',
        options: {},
        make: async () => ({
          open: async (delivered) => {
            this.opened.push(delivered)
            return { at: { length: this.written.length } }
          },
          write: async ({ records }) => {
            await this.before()
            const trouble = this.refuse(this.#writes++)
            if (trouble) return trouble
            for (const { id, value } of records)
              this.written.push({ id, value: new TextDecoder().decode(value) })
            return null
          },
          commit: async () => {
            this.commits++
            return { at: { length: this.written.length } }
          },
          close: async () => {},
        }),
      }),
    }
  }

  get values(): string[] {
    return this.written.map(({ value }) => value)
  }

  /** As a reader sees it who drops ids it has seen. */
  get distinct(): string[] {
    const seen = new Set<string>()
    return this.written.flatMap(({ id, value }) => {
      if (seen.has(id)) return []
      seen.add(id)
      return [value]
    })
  }
}
