// Scratch space of a pod's agent: one folder, which the code beside it sees as /pfs. Inputs lie in a
// folder the code can only read; `out` lies elsewhere, and is the code's (pod-out.ts). Both folders are
// mounted there: they themselves stay. Inputs are kept for datums to come, as far as the budget goes.

import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { assert } from '../../../base/assert.ts'
import type { Scratch, ScratchEntry, ScratchFolder } from '../../scratch.ts'
import { KeptInputs } from './kept-inputs.ts'
import type { KeptInputsOptions } from './kept-inputs.ts'
import { emptyOut, outEntries, readOut } from './pod-out.ts'

const OUT = 'out'

interface PodFolders {
  /** What the code sees as /pfs, and as /pfs/out. */
  readonly pfs: string
  readonly out: string
}

export class PodScratch implements Scratch {
  readonly #folders: PodFolders
  readonly #kept: KeptInputs | undefined
  #taken = false

  /** Without `keeping` nothing is kept. */
  constructor(folders: PodFolders, keeping?: KeptInputsOptions) {
    this.#folders = folders
    this.#kept = keeping && new KeptInputs(keeping)
  }

  /** Takes away what an agent before left. */
  async folder(): Promise<ScratchFolder> {
    assert(!this.#taken, 'a pod has one scratch folder')
    this.#taken = true
    const folder = new PodFolder(this.#folders, this.#kept, () => (this.#taken = false))
    await folder.clear()
    return folder
  }
}

class PodFolder implements ScratchFolder {
  readonly path: string
  readonly #out: string
  readonly #kept: KeptInputs | undefined
  readonly #closed: () => void

  constructor({ pfs, out }: PodFolders, kept: KeptInputs | undefined, closed: () => void) {
    this.path = resolve(pfs)
    this.#out = resolve(out)
    this.#kept = kept
    this.#closed = closed
  }

  async write(
    path: string,
    content: AsyncIterable<Uint8Array> | Uint8Array,
    digest?: string,
  ): Promise<void> {
    const file = this.#input(path)
    await mkdir(dirname(file), { recursive: true })
    // What stands there may be a link to what is kept.
    await rm(file, { force: true })
    try {
      await (content instanceof Uint8Array
        ? writeFile(file, content)
        : pipeline(Readable.from(content, { objectMode: false }), createWriteStream(file)))
    } catch (error) {
      // Room for what is needed goes before what may be.
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
        await this.#kept?.clear().catch(() => {})
      throw error
    }
    if (digest !== undefined) await this.#kept?.keep(digest, file)
  }

  async layKept(path: string, digest: string): Promise<boolean> {
    if (!this.#kept) return false
    const file = this.#input(path)
    await rm(file, { force: true })
    return this.#kept.lay(digest, file)
  }

  async empty(path: string): Promise<void> {
    await this.remove(path)
    if (path !== OUT) await mkdir(this.#input(path), { recursive: true })
  }

  async remove(path: string): Promise<void> {
    if (path === OUT) await emptyOut(this.#out)
    else await rm(this.#input(path), { recursive: true, force: true })
  }

  entries(path: string): AsyncIterable<ScratchEntry> {
    assert(path === OUT, 'only output is listed')
    return outEntries(this.#out)
  }

  read(path: string): AsyncIterable<Uint8Array> {
    assert(path.startsWith(`${OUT}/`), 'only output is read')
    return readOut(this.#out, path.slice(OUT.length + 1))
  }

  async clear(): Promise<void> {
    for (const name of await readdir(this.path))
      if (name !== OUT) await rm(join(this.path, name), { recursive: true, force: true })
    await emptyOut(this.#out)
    await this.#kept?.clear()
  }

  async close(): Promise<void> {
    await this.clear()
    this.#closed()
  }

  /** Nobody but us writes there. */
  #input(path: string): string {
    const file = resolve(this.path, path)
    const inside = file.startsWith(this.path + sep)
    const out = join(this.path, OUT)
    if (!inside || file === out || file.startsWith(out + sep))
      throw new Error(`not a path of an input: ${path}`)
    return file
  }
}
