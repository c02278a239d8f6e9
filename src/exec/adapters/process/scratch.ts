// Scratch space on disk. Everything in it can be lost at any time: nothing is synced.

import { createReadStream, createWriteStream } from 'node:fs'
import { lstat, mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { dirname, join, posix, relative, resolve, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Scratch, ScratchEntry, ScratchFolder } from '../../scratch.ts'

export class DiskScratch implements Scratch {
  readonly #root: string

  constructor(options: { root: string }) {
    this.#root = resolve(options.root)
  }

  /** Takes away what an earlier process left; call it once, before any folder is made. */
  async clean(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true })
  }

  async folder(): Promise<ScratchFolder> {
    await mkdir(this.#root, { recursive: true })
    return new DiskFolder(await mkdtemp(join(this.#root, 'pfs-')))
  }
}

class DiskFolder implements ScratchFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  async write(path: string, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    const file = this.#at(path)
    const put = async (): Promise<void> =>
      content instanceof Uint8Array
        ? writeFile(file, content)
        : pipeline(Readable.from(content, { objectMode: false }), createWriteStream(file))
    await mkdir(dirname(file), { recursive: true })
    await put()
  }

  async empty(path: string): Promise<void> {
    await this.remove(path)
    await mkdir(this.#at(path), { recursive: true })
  }

  async remove(path: string): Promise<void> {
    await rm(this.#at(path), { recursive: true, force: true })
  }

  async *entries(path: string): AsyncIterable<ScratchEntry> {
    const top = this.#at(path)
    const pending = ['']
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop())
      for (const entry of await readdir(join(top, folder), {
        withFileTypes: true,
        encoding: 'buffer',
      })) {
        const name = entry.name.toString('utf8')
        const path = folder === '' ? name : `${folder}/${name}`
        const of = (kind: ScratchEntry['kind'], sizeBytes = 0, target?: string): ScratchEntry => ({
          path,
          kind,
          sizeBytes,
          target,
        })
        if (!Buffer.from(name, 'utf8').equals(entry.name)) yield of('bad-name')
        else if (entry.isDirectory()) pending.push(path)
        else if (entry.isFile()) yield of('file', (await lstat(join(top, path))).size)
        else if (entry.isSymbolicLink()) yield of('link', 0, await this.#target(join(top, path)))
        else yield of('other')
      }
  }

  /** Code that saw the folder as /pfs writes links to /pfs/…, other code to where it really is. */
  async #target(link: string): Promise<string | undefined> {
    const to = await readlink(link)
    const inFolder = relative(this.path, link).split(sep).join('/')
    const seen = to.startsWith(`${this.path}/`) ? `/pfs${to.slice(this.path.length)}` : to
    const whole = posix.resolve(posix.dirname(`/pfs/${inFolder}`), seen)
    return whole.startsWith('/pfs/') ? whole.slice('/pfs/'.length) : undefined
  }

  read(path: string): AsyncIterable<Uint8Array> {
    return createReadStream(this.#at(path), { highWaterMark: 1 << 18 })
  }

  async close(): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }

  #at(path: string): string {
    const file = resolve(this.path, path)
    if (file !== this.path && !file.startsWith(this.path + sep))
      throw new Error(`a path outside of its scratch folder: ${path}`)
    return file
  }
}
