// A file, or the files of a folder, by lines. A part is a file's name, an ordinal a byte.

import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type {
  ConnectorContext,
  OptionValues,
  PartLag,
  Positions,
  Source,
  SourceBatch,
  Trouble,
} from '../../src/connector/mod.ts'
import type { SOURCE_OPTIONS } from './options.ts'
import { Tail } from './tail.ts'

export class FileSource implements Source {
  readonly #path: string
  readonly #pollMs: number
  readonly #context: ConnectorContext
  readonly #tails = new Map<string, Tail>()

  constructor(options: OptionValues<typeof SOURCE_OPTIONS>, context: ConnectorContext) {
    this.#path = options.path
    this.#pollMs = options.pollMs
    this.#context = context
  }

  async *open(positions: Positions, signal: AbortSignal): AsyncGenerator<SourceBatch | Trouble> {
    try {
      while (!signal.aborted) {
        const trouble = await this.#discover(positions)
        if (trouble) return yield trouble
        let quiet = true
        for (const tail of this.#tails.values()) {
          const item = await tail.next()
          if (!item) continue
          quiet = false
          yield item
          if (item.kind !== 'batch') return
          if (signal.aborted) return
        }
        if (quiet) await this.#context.sleep(this.#pollMs, signal)
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const kind = code === 'EACCES' ? 'fatal' : 'lost'
      yield { kind, text: `cannot read "${this.#path}": ${message}` }
    }
  }

  /** Opens files that are new since the last look. */
  async #discover(positions: Positions): Promise<Trouble | undefined> {
    for (const [part, path] of await this.#files()) {
      if (this.#tails.has(part)) continue
      const tail = await Tail.open(part, path, positions[part])
      if (!tail) continue
      if (!(tail instanceof Tail)) return tail
      // A file that was renamed is followed already, under the name it had.
      const known = [...this.#tails.values()].some((one) => one.fileId === tail.fileId)
      if (known) await tail.close()
      else this.#tails.set(part, tail)
    }
    return undefined
  }

  /** By part: the file itself, or the visible files of the folder in the order of their names. */
  async #files(): Promise<[part: string, path: string][]> {
    const found = await stat(this.#path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (!found?.isDirectory()) return [[basename(this.#path), this.#path]]
    const entries = await readdir(this.#path, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map((entry): [string, string] => [entry.name, join(this.#path, entry.name)])
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
  }

  /** The positions are in the commits; files need not know them. */
  async ack(_positions: Positions): Promise<void> {}

  async lag(): Promise<readonly PartLag[]> {
    const tails = [...this.#tails.values()]
    return Promise.all(tails.map(async (tail) => ({ part: tail.part, end: await tail.end() })))
  }

  async close(): Promise<void> {
    for (const tail of this.#tails.values()) await tail.close()
    this.#tails.clear()
  }
}
