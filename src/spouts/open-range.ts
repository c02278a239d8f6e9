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
import { poisonFolder } from './folder.ts'

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

export class OpenRange {
  readonly #stored: Positions
  readonly #format: FormatName
  readonly #parts = new Map<string, OpenPart>()
  readonly #quarantined: { part: string; ordinal: number; bytes: Uint8Array }[] = []
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
    this.#quarantined.push({ part, ordinal, bytes })
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

  /** Parts whose ordinals begin here: met for the first time, or made again and begun anew. */
  begun(): { readonly part: string; readonly identity: string | null }[] {
    return [...this.#parts].flatMap(([part, { range, begins }]) => {
      const { ordinal, identity } = parsePosition(begins)
      const goesOn = range.from !== null && parsePosition(range.from).ordinal <= ordinal
      return goesOn ? [] : [{ part, identity }]
    })
  }

  /**
   * One file a part: `/<folder>/<from>-<to>.ndjson`, and what was put aside.
   * @param folders by part; a part without one has a folder of its own name
   */
  files(folders: Readonly<Record<string, string>>): RangeFile[] {
    const folderOf = (part: string): Path => parsePath(folders[part] ?? part)
    const files = [...this.#parts].flatMap(([name, part]) => {
      if (part.records === 0) return []
      const from = ordinalDigits(parsePosition(part.begins).ordinal)
      const to = ordinalDigits(parsePosition(part.range.to).ordinal)
      const path = joinPath(folderOf(name), `${from}-${to}.ndjson`)
      return [{ path, bytes: part.lines.bytes() }]
    })
    const aside = this.#quarantined.map(({ part, ordinal, bytes }) => {
      return { path: joinPath(poisonFolder(folderOf(part)), ordinalDigits(ordinal)), bytes }
    })
    return [...files, ...aside]
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
