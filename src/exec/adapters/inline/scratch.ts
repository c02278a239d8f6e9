// Scratch space in memory, shared by worker loops and the functions that stand in for user code.

import { must } from '../../../base/assert.ts'
import { concat } from '../../../base/bytes.ts'
import type { Scratch, ScratchEntry, ScratchFolder } from '../../scratch.ts'

type Node = { readonly bytes: Uint8Array } | { readonly link: string }

export class MemoryScratch implements Scratch {
  readonly #folders = new Map<string, MemoryFolder>()
  #made = 0

  folder(): Promise<MemoryFolder> {
    const path = `memory-${++this.#made}`
    const folder = new MemoryFolder(path, () => this.#folders.delete(path))
    this.#folders.set(path, folder)
    return Promise.resolve(folder)
  }

  /** The folder a Runner was given as `pfs`. */
  at(path: string): MemoryFolder {
    return must(this.#folders.get(path), `scratch folder ${path}`)
  }

  /** Folders that were not given back. */
  get size(): number {
    return this.#folders.size
  }
}

export class MemoryFolder implements ScratchFolder {
  readonly path: string
  readonly nodes = new Map<string, Node>()
  /** Files written so far: what tests count. */
  written = 0
  readonly #forget: () => void

  constructor(path: string, forget: () => void) {
    this.path = path
    this.#forget = forget
  }

  async write(path: string, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
    const parts: Uint8Array[] = []
    if (content instanceof Uint8Array) parts.push(content)
    else for await (const part of content) parts.push(part.slice())
    this.nodes.set(path, { bytes: concat(parts) })
    this.written++
  }

  link(path: string, target: string): void {
    this.nodes.set(path, { link: target })
  }

  empty(path: string): Promise<void> {
    return this.remove(path)
  }

  remove(path: string): Promise<void> {
    for (const key of this.nodes.keys())
      if (key === path || key.startsWith(`${path}/`)) this.nodes.delete(key)
    return Promise.resolve()
  }

  async *entries(path: string): AsyncIterable<ScratchEntry> {
    for (const [key, node] of this.nodes)
      if (key.startsWith(`${path}/`))
        yield {
          path: key.slice(path.length + 1),
          kind: 'bytes' in node ? 'file' : 'link',
          sizeBytes: 'bytes' in node ? node.bytes.length : 0,
          target: 'bytes' in node ? undefined : node.link,
        }
  }

  async *read(path: string): AsyncIterable<Uint8Array> {
    const node = must(this.nodes.get(path), `scratch file ${path}`)
    if ('bytes' in node) yield node.bytes
  }

  close(): Promise<void> {
    this.nodes.clear()
    this.#forget()
    return Promise.resolve()
  }
}
