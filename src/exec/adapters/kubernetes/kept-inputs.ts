// Input files a pod's agent keeps for datums to come, as hard links: what is laid out again moves no
// byte, here or over the network.
//
// - A name is the digest of the content: nothing kept is ever stale. But what was purged must go from
//   here too, so nothing is laid out that came longer ago than an hour.
// - The code sees what is laid out through a mount it can only read: what it was given, it was given whole
//   and stays as it was. Whoever writes a file anew has to unlink it first.
// - Nothing here fails a datum: what cannot be kept or linked is fetched.
// - The budget counts files as disks do, in steps of 4 KiB; the one used longest ago goes first.

import { link, mkdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { assert } from '../../../base/assert.ts'
import type { Clock } from '../../../base/clock.ts'

const DISK_BLOCK_BYTES = 4096
const STALE_MS = 3_600_000
const DIGEST = /^[0-9a-f]{64}$/

interface Kept {
  /** On disk. */
  readonly weight: number
  readonly cameMs: number
}

export interface KeptInputsOptions {
  /** The agent's alone, and of one file system with what is laid out. Emptied at the start. */
  readonly folder: string
  /** 0: nothing is kept. */
  readonly budgetBytes: number
  readonly clock: Pick<Clock, 'monotonicMs'>
}

export class KeptInputs {
  readonly #options: KeptInputsOptions
  /** By digest, the one used longest ago first. */
  readonly #kept = new Map<string, Kept>()
  #totalBytes = 0

  constructor(options: KeptInputsOptions) {
    this.#options = options
  }

  /** A link to what is kept, where no file is. False: it is not here. */
  async lay(digest: string, file: string): Promise<boolean> {
    const kept = this.#kept.get(digest)
    if (!kept) return false
    const { clock } = this.#options
    if (clock.monotonicMs() - kept.cameMs < STALE_MS)
      try {
        await mkdir(dirname(file), { recursive: true })
        await link(this.#at(digest), file)
        if (this.#kept.delete(digest)) this.#kept.set(digest, kept)
        return true
      } catch {
        // As if it were not there: it has too many links, or went meanwhile.
      }
    await this.#drop(digest)
    return false
  }

  /** Keeps a file that is written to its end. */
  async keep(digest: string, file: string): Promise<void> {
    const { budgetBytes, clock } = this.#options
    if (budgetBytes === 0) return
    await this.#drop(digest)
    try {
      const { size } = await stat(file)
      const weight = Math.max(1, Math.ceil(size / DISK_BLOCK_BYTES)) * DISK_BLOCK_BYTES
      if (weight > budgetBytes) return
      await link(file, this.#at(digest))
      this.#totalBytes += weight
      this.#kept.set(digest, { weight, cameMs: clock.monotonicMs() })
      for (const oldest of this.#kept.keys()) {
        if (this.#totalBytes <= budgetBytes) break
        await this.#drop(oldest)
      }
    } catch {
      // Then it is fetched again.
    }
  }

  /** Gives all room back. */
  async clear(): Promise<void> {
    this.#kept.clear()
    this.#totalBytes = 0
    await rm(this.#options.folder, { recursive: true, force: true })
    await mkdir(this.#options.folder, { recursive: true })
  }

  async #drop(digest: string): Promise<void> {
    const kept = this.#kept.get(digest)
    if (!kept) return
    this.#kept.delete(digest)
    this.#totalBytes -= kept.weight
    await rm(this.#at(digest), { force: true })
  }

  #at(digest: string): string {
    assert(DIGEST.test(digest), 'a digest is 64 hex digits')
    return join(this.#options.folder, digest)
  }
}
