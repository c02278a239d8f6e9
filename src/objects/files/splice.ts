// What a file becomes by the changes that a run holds of it: stretches of stored content, no byte of which
// is looked at yet.

import { withoutMd5 } from './attributes.ts'
import { joinPieces } from './joining.ts'
import type { Piece } from './joining.ts'
import type { Item } from '../trees/item.ts'
import { SPLICE } from '../trees/item.ts'
import type { Sink } from '../changes/sink.ts'
import type { PackStore } from '../store.ts'

/** The file, stored; undefined: there is no file where one is to be changed, or it is too short. */
export async function storeChanged(
  store: PackStore,
  sink: Sink,
  base: Item | undefined,
  parts: readonly Item[],
): Promise<Item | undefined> {
  const pieces = changed(base, parts)
  if (!pieces) return undefined
  const item = await joinPieces(store, sink, pieces)
  const attributes = (base ?? parts[0])?.attributes
  return item.withAttributes(attributes && withoutMd5(attributes))
}

function changed(base: Item | undefined, parts: readonly Item[]): Piece[] | undefined {
  if (!base && parts[0]?.kind === SPLICE) return undefined
  let pieces: Piece[] = base ? [whole(base)] : []
  for (const part of parts) {
    const after = part.kind === SPLICE ? spliced(pieces, part) : [...pieces, whole(part)]
    if (!after) return undefined
    pieces = after
  }
  return pieces
}

function whole(file: Item): Piece {
  return { file, from: 0, to: file.sizeBytes }
}

function spliced(pieces: readonly Piece[], { parts, rare }: Item): Piece[] | undefined {
  const cut = new Cutting(pieces)
  const result: Piece[] = []
  for (const [i, { offset, deleteBytes }] of (rare.spans ?? []).entries()) {
    const part = parts[i]
    if (!part || !cut.upTo(offset, result) || !cut.upTo(offset + deleteBytes)) return undefined
    result.push(whole(part))
  }
  cut.upTo(Infinity, result)
  return result
}

/** Goes through pieces once. */
class Cutting {
  readonly #pieces: readonly Piece[]
  #next = 0
  /** Of the next piece, how much was taken; and of all. */
  #taken = 0
  #at = 0

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces
  }

  /** Takes what lies before `offset`; false: it ends before, or was passed already. */
  upTo(offset: number, into?: Piece[]): boolean {
    while (this.#at < offset) {
      const piece = this.#pieces[this.#next]
      if (!piece) return false
      const from = piece.from + this.#taken
      const to = Math.min(piece.to, from + offset - this.#at)
      into?.push({ file: piece.file, from, to })
      this.#at += to - from
      this.#taken += to - from
      if (to < piece.to) break
      this.#next++
      this.#taken = 0
    }
    return this.#at === offset
  }
}
