// Whether what some references name can be built upon now: none of it in a condemned pack, all packs
// there. It costs a walk over their nodes, and is asked only of a writer whose session was closed.

import { isVarveError } from '../../base/errors.ts'
import type { BlobStore } from '../../blob/blob.ts'
import { Marker } from '../upkeep/mark.ts'
import type { Places, Root } from '../upkeep/mark.ts'
import { packKey } from './pack-footer.ts'
import type { PackStore } from '../store.ts'

/** Nodes of one answer: a quarter of what a collection has. */
const HELD_BYTES = 48 * 1024 * 1024
const AT_ONCE = 16

class PackNames implements Places {
  readonly numbers = new Map<string, number>()

  numberOf(pack: string): number {
    const number = this.numbers.get(pack) ?? this.numbers.size
    this.numbers.set(pack, number)
    return number
  }

  /** Asked for below. */
  has(): boolean {
    return true
  }

  use(): void {}
}

/** As of the load of `store.condemned` that was the last before the call. */
export async function isHeld(
  store: PackStore,
  blob: BlobStore,
  roots: readonly Root[],
): Promise<boolean> {
  const packs = new PackNames()
  const marker = new Marker(store, packs, HELD_BYTES)
  async function* given(): AsyncGenerator<Root> {
    yield* roots
  }
  try {
    await marker.mark(given())
  } catch (error) {
    // A pack that is gone, or something that cannot be told: it is made again.
    if (isVarveError(error, 'CORRUPT') || isVarveError(error, 'TOO_LARGE')) return false
    throw error
  }
  const names = [...packs.numbers.keys()]
  if (names.some((name) => store.condemned.has(name))) return false
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const sizes = names.slice(at, at + AT_ONCE).map((name) => blob.head(packKey(name)))
    if ((await Promise.all(sizes)).includes(undefined)) return false
  }
  return true
}
