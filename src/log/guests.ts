// What every part of this room is given.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore } from '../blob/blob.ts'
import type { Bus } from '../bus/bus.ts'
import type { Tables } from '../tables/tables.ts'

/** A cryptographic hash; the same for ever within one store. */
export type Hash = (bytes: Uint8Array) => Uint8Array

export interface LogGuests {
  readonly tables: Tables
  readonly bus: Bus
  readonly blob: BlobStore
  readonly clock: Clock
  readonly random: Random
  readonly hash: Hash
}
