// What is known to be stored already where a file is written anew: its last version, mostly. A miss costs
// space, never truth, so it is bounded.

import { chunksBetween } from './chunk-list.ts'
import type { ReadLists } from './chunk-list.ts'
import type { ListNode } from './list-node.ts'
import { CHUNK, LIST } from '../trees/item.ts'
import type { Item } from '../trees/item.ts'
import type { Place } from '../packs/pack.ts'

/** Some 60 MB of memory; of larger files the beginning. */
const MAX_CHUNKS = 256 * 1024

export class Known {
  readonly #chunks = new Map<string, Place>()
  readonly #nodes = new Map<string, Item>()

  chunk(id: string): Place | undefined {
    return this.#chunks.get(id)
  }

  /** Of a list. */
  node(id: string): Item | undefined {
    return this.#nodes.get(id)
  }

  addChunk(chunk: Item): void {
    if (chunk.place && this.#chunks.size < MAX_CHUNKS) this.#chunks.set(chunk.id, chunk.place)
  }

  /** All of a file. */
  async addFile(store: ReadLists, file: Item): Promise<void> {
    if (file.kind === CHUNK) this.addChunk(file)
    if (file.kind !== LIST) return
    for await (const { chunks } of chunksBetween(this.reading(store), file, 0, file.sizeBytes)) {
      for (const chunk of chunks) this.addChunk(chunk)
      if (this.#chunks.size >= MAX_CHUNKS) return
    }
  }

  /** Reads lists and knows what it read. */
  reading(store: ReadLists): ReadLists {
    return {
      listNode: (list): ListNode | Promise<ListNode> => {
        this.#nodes.set(list.id, list)
        return store.listNode(list)
      },
    }
  }
}
