// Files kept open between reads: opening and closing one costs three times as much as reading a chunk.
// A file is closed when too many are open, when it was not read for a while, and when it is forgotten;
// in each case once the last read of it has ended. Who deletes or replaces a file forgets it.

import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'

const MOST = 256
const SWEEP_MS = 5_000

export interface OpenFile {
  readonly handle: FileHandle
  /** When it was opened. */
  readonly sizeBytes: number
}

class Kept {
  readonly file: Promise<OpenFile>
  fresh = true
  #readers = 0
  #dropped = false

  constructor(path: string) {
    this.file = openWithSize(path)
    this.file.catch(() => {})
  }

  async use<T>(work: (file: OpenFile) => Promise<T>): Promise<T> {
    this.fresh = true
    this.#readers++
    try {
      return await work(await this.file)
    } finally {
      this.#readers--
      if (this.#dropped) this.#close()
    }
  }

  drop(): void {
    this.#dropped = true
    this.#close()
  }

  #close(): void {
    if (this.#readers > 0) return
    // Nobody reads from it any more: how the closing went is nobody's concern.
    this.file.then(({ handle }) => handle.close()).catch(() => {})
  }
}

export class OpenFiles {
  /** Used last at the end. */
  readonly #kept = new Map<string, Kept>()
  #sweeping: NodeJS.Timeout | undefined

  /** @throws what opening or `work` throws; `work` must not use the file once it has settled */
  async use<T>(path: string, work: (file: OpenFile) => Promise<T>): Promise<T> {
    let kept = this.#kept.get(path)
    if (kept) this.#kept.delete(path)
    else kept = this.#open(path)
    this.#kept.set(path, kept)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST) break
      this.forget(oldest)
    }
    return kept.use(work)
  }

  forget(path: string): void {
    const kept = this.#kept.get(path)
    this.#kept.delete(path)
    kept?.drop()
  }

  #open(path: string): Kept {
    const kept = new Kept(path)
    kept.file.catch(() => {
      if (this.#kept.get(path) === kept) this.#kept.delete(path)
    })
    this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
    return kept
  }

  #sweep(): void {
    for (const [path, kept] of this.#kept)
      if (kept.fresh) kept.fresh = false
      else this.forget(path)
    if (this.#kept.size > 0) return
    clearInterval(this.#sweeping)
    this.#sweeping = undefined
  }
}

async function openWithSize(path: string): Promise<OpenFile> {
  const handle = await open(path, 'r')
  try {
    return { handle, sizeBytes: (await handle.stat()).size }
  } catch (error) {
    await handle.close()
    throw error
  }
}
