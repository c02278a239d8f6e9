// What was read and is not yet committed. Invariants:
// - a part's range begins at the position the log holds and ends where reading stands;
// - its file holds the lines of exactly that range, in order.

import { assert } from '../base/assert.ts'
import type { Positions, SourceBatch } from '../connector/contract.ts'
import { toLine } from '../connector/formats.ts'
import type { FormatName } from '../connector/formats.ts'
import { ordinalDigits, parsePosition } from '../connector/position.ts'
import type { SourceRange } from '../model/entities.ts'
import { joinPath, parsePath } from '../model/path.ts'
import type { Path } from '../model/path.ts'
import { ByteSink } from './byte-sink.ts'

interface OpenPart {
  readonly range: { readonly from: string | null; to: string }
  /** Where its first record was read: behind `range.from` where the feed had a gap. */
  readonly begins: string
  readonly lines: ByteSink
  records: number
}

export interface RangeFile {
  readonly path: Path
  readonly bytes: Uint8Array
}

export interface Poison {
  readonly part: string
  readonly ordinal: number
  readonly why: string
}

const POISON = parsePath('_poison')

export class OpenRange {
  readonly #stored: Positions
  readonly #format: FormatName
  readonly #parts = new Map<string, OpenPart>()
  readonly #quarantined: RangeFile[] = []
  records = 0
  bytes = 0
  firstMs: number | null = null
  newestMs: number | null = null

  /** @param stored the positions in the log when it opens */
  constructor(stored: Positions, format: FormatName) {
    this.#stored = stored
    this.#format = format
  }

  /**
   * Takes a batch in. A record that cannot be a line ends it there: the range then ends before that
   * record, which is returned; with `quarantine` such records are kept beside instead.
   */
  add(batch: SourceBatch, nowMs: number, onPoison: 'halt' | 'quarantine'): Poison | undefined {
    const part = this.#part(batch.part, batch.from)
    assert(part.range.to === batch.from, () => `${batch.part}: ${batch.from} is not next`)
    this.firstMs ??= nowMs
    this.newestMs = nowMs
    const { identity } = parsePosition(batch.from)
    for (const record of batch.records) {
      const made = toLine(this.#format, record, batch.part)
      if ('line' in made) {
        part.lines.push(made.line)
        part.lines.newline()
        part.records++
        this.records++
        this.bytes += made.line.length + 1
        continue
      }
      if (onPoison === 'halt') {
        part.range.to = identity === null ? `${record.ordinal}` : `${record.ordinal}@${identity}`
        return { part: batch.part, ordinal: record.ordinal, why: made.poison }
      }
      this.quarantine(batch.part, record.ordinal, record.value ?? new Uint8Array(0))
    }
    part.range.to = batch.to
    return undefined
  }

  /** Keeps a record that cannot be a line as a file of its own in the same commit. */
  quarantine(part: string, ordinal: number, bytes: Uint8Array): void {
    const folder = joinPath(POISON, parsePath(part))
    this.#quarantined.push({ path: joinPath(folder, ordinalDigits(ordinal)), bytes })
    this.records++
    this.bytes += bytes.length
  }

  /** Moves a part on without a record: behind a poison record or an accepted gap. */
  moveTo(part: string, position: string, nowMs: number): void {
    this.#part(part, position).range.to = position
    this.firstMs ??= nowMs
    this.newestMs = nowMs
  }

  /** A part is met for the first time: its position is worth a commit even without records. */
  get pinned(): boolean {
    return [...this.#parts.values()].some((part) => part.range.from === null)
  }

  /** Ranges that moved, for the log. */
  ranges(): Record<string, SourceRange> {
    const moved = [...this.#parts].filter(([, part]) => part.range.from !== part.range.to)
    return Object.fromEntries(moved.map(([name, part]) => [name, { ...part.range }]))
  }

  /** Where reading stands after it. */
  positions(): Positions {
    const held = [...this.#parts].map(([name, part]) => [name, part.range.to] as const)
    return { ...this.#stored, ...Object.fromEntries(held) }
  }

  /** One file a part: `/<part>/<from>-<to>.ndjson`, and what was put aside. */
  files(): RangeFile[] {
    const files = [...this.#parts].flatMap(([name, part]) => {
      if (part.records === 0) return []
      const from = ordinalDigits(parsePosition(part.begins).ordinal)
      const to = ordinalDigits(parsePosition(part.range.to).ordinal)
      const path = joinPath(parsePath(name), `${from}-${to}.ndjson`)
      return [{ path, bytes: part.lines.bytes() }]
    })
    return [...files, ...this.#quarantined]
  }

  #part(name: string, begins: string): OpenPart {
    let part = this.#parts.get(name)
    if (!part) {
      const from = this.#stored[name] ?? null
      part = { range: { from, to: begins }, begins, lines: new ByteSink(), records: 0 }
      this.#parts.set(name, part)
    }
    return part
  }
}
