// One line of progress for what takes over 300 ms: rewritten in place on a terminal, a line each 10 s
// where there is none.

import type { Sink } from './output.ts'
import { bytesText, countText, durationText, many } from './words.ts'

const FIRST_MS = 300
const REDRAW_MS = 100
const LINE_EVERY_MS = 10_000
const BAR_WIDTH = 20

export class Progress {
  readonly #stderr: Sink
  readonly #what: string
  readonly #totalBytes: number | undefined
  readonly #totalFiles: number | undefined
  readonly #nowMs: () => number
  readonly #startMs: number
  #shownMs: number
  #doneBytes = 0
  #doneFiles = 0
  /** Done before: no measure of how fast it goes. */
  #skippedBytes = 0
  #drawn = false

  constructor(options: {
    stderr: Sink
    nowMs: () => number
    what: string
    totalBytes?: number | undefined
    totalFiles?: number | undefined
  }) {
    this.#stderr = options.stderr
    this.#what = options.what
    this.#totalBytes = options.totalBytes
    this.#totalFiles = options.totalFiles
    this.#nowMs = options.nowMs
    this.#startMs = options.nowMs()
    this.#shownMs = this.#startMs
  }

  get doneBytes(): number {
    return this.#doneBytes
  }

  get elapsedMs(): number {
    return this.#nowMs() - this.#startMs
  }

  async *count(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.add(chunk.length)
      yield chunk
    }
  }

  /** As `count`, of what is sent again as a whole when it has to be. */
  counted(open: () => AsyncIterable<Uint8Array>): () => AsyncIterable<Uint8Array> {
    let before = 0
    return () => {
      this.takeBack(before)
      before = 0
      const each = async function* (count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
        for await (const chunk of open()) {
          count(chunk.length)
          yield chunk
        }
      }
      return each((bytes) => {
        before += bytes
        this.add(bytes)
      })
    }
  }

  /** What an earlier run has done. */
  skip(bytes: number, files = 0): void {
    this.#skippedBytes += bytes
    this.#doneBytes += bytes
    this.#doneFiles += files
  }

  /** What was counted and has to be done again. */
  takeBack(bytes: number, files = 0): void {
    this.#doneBytes -= bytes
    this.#doneFiles -= files
  }

  add(bytes: number, files = 0): void {
    this.#doneBytes += bytes
    this.#doneFiles += files
    const now = this.#nowMs()
    const tty = this.#stderr.isTTY === true
    const rest = !tty ? LINE_EVERY_MS : this.#drawn ? REDRAW_MS : FIRST_MS
    if (now - this.#shownMs < rest) return
    this.#shownMs = now
    this.#stderr.write(tty ? `\r\u001b[2K${this.#line()}` : `${this.#line()}\n`)
    this.#drawn = tty
  }

  #line(): string {
    const seconds = Math.max(0.001, this.elapsedMs / 1000)
    const rate = Math.max(0, this.#doneBytes - this.#skippedBytes) / seconds
    const speed = `${bytesText(Math.round(rate))}/s`
    const files = this.#files()
    const done = bytesText(this.#doneBytes)
    if (this.#totalBytes === undefined && this.#totalFiles === undefined)
      return [this.#what, ...files, done, speed].join('  ')
    const part = this.#part()
    const full = Math.round(part * BAR_WIDTH)
    const bar = '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full)
    const rest = part > 0 ? (this.#doneBytes / part) * (1 - part) : this.#totalBytes
    const left = rate > 0 && rest !== undefined ? durationText((rest / rate) * 1000) : '?'
    const bytes =
      this.#totalBytes === undefined ? done : `${done} of ${bytesText(this.#totalBytes)}`
    return [this.#what, bar, ...files, bytes, speed, `${left} left`].join('  ')
  }

  /** Of the bytes; where nobody knows how many there are, of the files. */
  #part(): number {
    const [done, total] =
      this.#totalBytes === undefined
        ? [this.#doneFiles, this.#totalFiles ?? 0]
        : [this.#doneBytes, this.#totalBytes]
    return total === 0 ? 1 : Math.min(1, done / total)
  }

  #files(): string[] {
    if (this.#totalFiles !== undefined)
      return [`${countText(this.#doneFiles)} of ${many(this.#totalFiles, 'file')}`]
    return this.#doneFiles > 0 ? [many(this.#doneFiles, 'file')] : []
  }

  /** Takes the line away; the result is said by the caller. */
  end(): void {
    if (this.#drawn) this.#stderr.write('\r\u001b[2K')
    this.#drawn = false
  }
}
