// Blocks of objects as files of one folder, as many as a budget allows, the last used ones.
//
// A file is its checksum (SHA-256 of name and block) and the block; its name is the hash of the key and
// the block's number, so that the names of a folder say all there is to know at the next start. Nothing
// is synced: what a crash leaves half written does not match and is fetched again.

import { hash } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { forEachLimit } from '../../base/async.ts'
import { concat, equalBytes, utf8 } from '../../base/bytes.ts'
import type { BlobKey } from '../blob.ts'

/** It cannot be written, once until it can again: {folder, error}. */
const idle = channel('varve:cache:idle')

const CHECKSUM_BYTES = 32
const DISK_BLOCK_BYTES = 4096
/** Waiting to be written; what comes beyond is not kept. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024
const PARALLEL = 32
/** After a failed write nothing is kept for so long. */
const PAUSE_MS = 60_000
/** Uses are told to the file system, for the next start, not more often than this. */
const TOUCH_MS = 10 * 60_000

interface Kept {
  /** On disk. */
  readonly weight: number
  touchedMs: number
}

export class BlockFolder {
  readonly #folder: string
  readonly #budgetBytes: number
  /** By name, the one used longest ago first. */
  readonly #kept = new Map<string, Kept>()
  #totalBytes = 0
  readonly #waiting = new Map<string, Uint8Array>()
  #waitingBytes = 0
  readonly #working = new Set<Promise<void>>()
  #pausedUntilMs = 0
  #isTold = false

  private constructor(folder: string, budgetBytes: number) {
    this.#folder = folder
    this.#budgetBytes = budgetBytes
  }

  /** Finds again what is there; a folder that cannot be used keeps nothing. */
  static async open(options: {
    readonly folder: string
    readonly budgetBytes: number
  }): Promise<BlockFolder> {
    const folder = new BlockFolder(options.folder, options.budgetBytes)
    try {
      await mkdir(options.folder, { recursive: true, mode: 0o700 })
      await folder.#find()
    } catch (error) {
      folder.#pause(error)
    }
    return folder
  }

  has(key: BlobKey, index: number): boolean {
    const name = fileName(key, index)
    return this.#kept.has(name) || this.#waiting.has(name)
  }

  /** Undefined: it cannot be had here, or not as it was. */
  async read(key: BlobKey, index: number): Promise<Uint8Array | undefined> {
    const name = fileName(key, index)
    const kept = this.#kept.get(name)
    if (!kept) return this.#waiting.get(name)
    try {
      const bytes = new Uint8Array(await readFile(join(this.#folder, name)))
      const block = bytes.subarray(CHECKSUM_BYTES)
      if (equalBytes(bytes.subarray(0, CHECKSUM_BYTES), checksum(name, block))) {
        this.#use(name, kept)
        return block
      }
    } catch {
      // As if it were not there.
    }
    if (this.#kept.get(name) === kept) await this.#forget(name)
    return undefined
  }

  /** Keeps it in a while, if it can. The bytes must not change. */
  keep(key: BlobKey, index: number, block: Uint8Array): void {
    const name = fileName(key, index)
    const weight = weightOf(block.length + CHECKSUM_BYTES)
    if (weight > this.#budgetBytes || this.#waitingBytes + weight > MAX_WAITING_BYTES) return
    if (this.#waiting.has(name) || Date.now() < this.#pausedUntilMs) return
    this.#waiting.set(name, block)
    this.#waitingBytes += weight
    this.#work(async () => {
      await this.#write(name, block, weight)
      if (this.#waiting.get(name) === block) this.#waiting.delete(name)
      this.#waitingBytes -= weight
    })
  }

  /** At once for who reads; the files are gone when it resolves, or soon. */
  async drop(keys: readonly BlobKey[]): Promise<void> {
    const starts = new Set(keys.map(startOfName))
    const isMeant = (name: string): boolean => starts.has(name.slice(0, name.indexOf('.')))
    for (const name of this.#waiting.keys().filter(isMeant).toArray()) this.#waiting.delete(name)
    const names = this.#kept.keys().filter(isMeant).toArray()
    await Promise.all(names.map((name) => this.#forget(name)))
  }

  /** What was begun has ended. */
  async close(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working)
  }

  async #find(): Promise<void> {
    const found: { name: string; weight: number; touchedMs: number }[] = []
    await forEachLimit(await readdir(this.#folder), PARALLEL, async (name) => {
      if (!FILE.test(name)) return
      const { size, mtimeMs } = await stat(join(this.#folder, name))
      found.push({ name, weight: weightOf(size), touchedMs: mtimeMs })
    })
    for (const { name, ...kept } of found.toSorted((a, b) => a.touchedMs - b.touchedMs)) {
      this.#kept.set(name, kept)
      this.#totalBytes += kept.weight
    }
    await this.#makeRoom(0)
  }

  async #write(name: string, block: Uint8Array, weight: number): Promise<void> {
    try {
      await this.#forget(name)
      await this.#makeRoom(weight)
      await writeFile(join(this.#folder, name), concat([checksum(name, block), block]))
      this.#isTold = false
      this.#kept.set(name, { weight, touchedMs: Date.now() })
      if (this.#waiting.get(name) !== block) await this.#forget(name) // dropped meanwhile
    } catch (error) {
      this.#totalBytes -= weight
      await rm(join(this.#folder, name), { force: true }).catch(() => {})
      this.#pause(error)
    }
  }

  /** Makes room, and takes it. */
  async #makeRoom(weight: number): Promise<void> {
    this.#totalBytes += weight
    const removals: Promise<void>[] = []
    for (const name of this.#kept.keys()) {
      if (this.#totalBytes <= this.#budgetBytes) break
      removals.push(this.#forget(name))
    }
    await Promise.all(removals)
  }

  async #forget(name: string): Promise<void> {
    const kept = this.#kept.get(name)
    if (!kept) return
    this.#kept.delete(name)
    this.#totalBytes -= kept.weight
    try {
      await rm(join(this.#folder, name), { force: true })
    } catch (error) {
      this.#pause(error)
    }
  }

  #use(name: string, kept: Kept): void {
    if (this.#kept.get(name) !== kept) return
    this.#kept.delete(name)
    this.#kept.set(name, kept)
    const nowMs = Date.now()
    if (nowMs - kept.touchedMs < TOUCH_MS) return
    kept.touchedMs = nowMs
    this.#work(async () => {
      const file = await open(join(this.#folder, name), 'r')
      try {
        await file.utimes(nowMs / 1000, nowMs / 1000)
      } finally {
        await file.close()
      }
    })
  }

  /** Nobody waits for it. */
  #work(work: () => Promise<void>): void {
    const working = work()
      .catch(() => {})
      .finally(() => this.#working.delete(working))
    this.#working.add(working)
  }

  #pause(error: unknown): void {
    this.#pausedUntilMs = Date.now() + PAUSE_MS
    if (this.#isTold) return
    this.#isTold = true
    idle.publish({ folder: this.#folder, error })
  }
}

const FILE = /^[0-9a-f]{40}\.\d+$/

function startOfName(key: BlobKey): string {
  return hash('sha256', key).slice(0, 40)
}

function fileName(key: BlobKey, index: number): string {
  return `${startOfName(key)}.${index}`
}

/** Of the name too, so that a file in the place of another is found out. */
function checksum(name: string, block: Uint8Array): Uint8Array {
  return hash('sha256', concat([utf8(name), block]), 'buffer')
}

function weightOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES
}
