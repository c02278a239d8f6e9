// What every part of this room is given.

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore } from '../blob/blob.ts'
import type { Bus } from '../bus/bus.ts'
import type { Tables } from '../tables/tables.ts'

/** A cryptographic hash; the same for ever within one store. */
export type Hash = (bytes: Uint8Array) => Uint8Array

/**
 * Says whose a message on the bus is, by a secret all processes of a cluster share. `verify` takes the
 * same time whatever it is given. An authentic message may come again; that is no harm.
 */
export interface Mac {
  sign(bytes: Uint8Array): string
  verify(bytes: Uint8Array, mac: string): boolean
}

export interface LogGuests {
  readonly tables: Tables
  readonly bus: Bus
  readonly blob: BlobStore
  readonly clock: Clock
  readonly random: Random
  readonly hash: Hash
  /** Undefined: the bus is inside this process, or everybody on it is trusted. */
  readonly mac?: Mac | undefined
}
