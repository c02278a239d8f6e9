// What a read prints, in the format asked for. Data goes to stdout, everything else to stderr.

import type { Column } from './table.ts'
import { clean, tableLines } from './table.ts'
import { muted } from './words.ts'

export const FORMATS = ['text', 'wide', 'json', 'jsonl', 'yaml', 'name'] as const
export type Format = (typeof FORMATS)[number]

/** A stream to write to; writes wait while the reader is slow. */
export interface Sink {
  readonly isTTY?: boolean
  write(chunk: string | Uint8Array): boolean
  once(event: 'drain' | 'error', listener: () => void): unknown
}

/** Whoever read our output has read enough: `varve events | head -1`. */
export class ReaderGone extends Error {}

export class Output {
  readonly format: Format
  readonly color: boolean
  readonly #stdout: Sink
  readonly #stderr: Sink
  #gone = false
  #wake = (): void => undefined

  constructor(options: { format: Format; color: boolean; stdout: Sink; stderr: Sink }) {
    this.format = options.format
    this.color = options.color
    this.#stdout = options.stdout
    this.#stderr = options.stderr
    this.#stdout.once('error', () => {
      this.#gone = true
      this.#wake()
    })
  }

  /** @throws ReaderGone */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (!this.#gone && !this.#stdout.write(chunk)) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      this.#stdout.once('drain', resolve)
      await promise
    }
    if (this.#gone) throw new ReaderGone()
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`)
  }

  /** For the person beside the data: results of actions, warnings. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`)
  }

  /** @param name what `-o name` prints of a row */
  async list<T>(
    rows: AsyncIterable<T> | Iterable<T>,
    columns: readonly Column<T>[],
    name: (row: T) => string,
    empty?: string,
  ): Promise<void> {
    switch (this.format) {
      case 'text':
      case 'wide': {
        const shown = columns.filter((column) => !column.wide || this.format === 'wide')
        let rowsSeen = 0
        const counted = (async function* () {
          for await (const row of rows) {
            rowsSeen++
            yield row
          }
        })()
        const lines: string[] = []
        for await (const line of tableLines(counted, shown, this.color)) {
          if (rowsSeen === 0) break
          lines.push(line)
          if (lines.length >= 100) await this.write(`${lines.splice(0).join('\n')}\n`)
        }
        if (lines.length > 0) await this.write(`${lines.join('\n')}\n`)
        if (rowsSeen === 0 && empty !== undefined) this.note(empty)
        return
      }
      case 'name':
        for await (const row of rows) await this.line(clean(name(row)))
        return
      case 'jsonl':
        for await (const row of rows) await this.line(JSON.stringify(row))
        return
      case 'json':
      case 'yaml':
        return this.value(await Array.fromAsync(rows))
    }
  }

  /** One thing: `label  value` lines as text. */
  async one<T>(
    value: T,
    fields: readonly (readonly [label: string, text: string | null])[],
    name: string,
  ): Promise<void> {
    if (this.format === 'name') return this.line(clean(name))
    if (this.format !== 'text' && this.format !== 'wide') return this.value(value)
    const shown = fields.filter(([, text]) => text !== null && text !== '')
    const width = Math.max(0, ...shown.map(([label]) => label.length))
    for (const [label, text] of shown) {
      const [first = '', ...more] = (text ?? '').split('\n').map(clean)
      await this.line(`${muted(label.padEnd(width), this.color)}  ${first}`)
      for (const line of more) await this.line(`${' '.repeat(width)}  ${line}`)
    }
  }

  /** As JSON or YAML. */
  async value(value: unknown): Promise<void> {
    if (this.format === 'yaml') {
      const { stringify } = await import('yaml')
      return this.write(stringify(value))
    }
    return this.line(
      this.format === 'jsonl' ? JSON.stringify(value) : JSON.stringify(value, null, 2),
    )
  }

  /** Whether a person reads it, rather than a program. */
  get isText(): boolean {
    return this.format === 'text' || this.format === 'wide'
  }
}
