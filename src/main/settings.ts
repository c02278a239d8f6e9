// What all processes of a cluster must agree on, decided once by whoever comes first.

import type { Clock } from '../base/clock.ts'
import { fromHex, toHex } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { defineTable } from '../tables/schema.ts'
import { settle } from '../tables/settle.ts'
import type { Tables } from '../tables/tables.ts'

export const SETTINGS = defineTable({
  name: 'settings',
  kind: 'guarded',
  partition: ['name'],
  clustering: [],
  columns: { name: 'text', value: 'text', write_id: 'text' },
})

interface Guests {
  readonly tables: Tables
  readonly clock: Clock
  readonly random: Random
}

/**
 * The value of a setting: the one that stands, else `value`, for ever.
 * @throws VarveError UNAVAILABLE when the signal is aborted first
 */
export async function settleOnce(
  guests: Guests,
  name: string,
  value: string,
  signal?: AbortSignal,
): Promise<string> {
  const { tables } = guests
  const key = { name }
  const known = await tables.get(SETTINGS, key, { serial: true })
  if (known?.value !== undefined) return known.value
  const outcome = await settle(
    tables,
    SETTINGS,
    {
      partition: key,
      expect: { key, is: 'absent' },
      put: [{ name, value }],
      writeId: toHex(guests.random.bytes(16)),
    },
    guests,
    signal,
  )
  if (outcome.kind === 'applied') return value
  if (outcome.current?.value !== undefined) return outcome.current.value
  throw new VarveError('CORRUPT', `cannot read the setting "${name}": its row holds no value`)
}

export interface Workspace {
  /** Names this installation, for ever. */
  readonly id: string
  /** Keys the ids of everything stored; losing it makes the store unreadable as itself. */
  readonly storeKey: Uint8Array
}

/** The identity all processes share, made at the first start. */
export async function openWorkspace(guests: Guests, signal?: AbortSignal): Promise<Workspace> {
  const made = (size: number): string => toHex(guests.random.bytes(size))
  const id = await settleOnce(guests, 'workspace', made(16), signal)
  const storeKey = fromHex(await settleOnce(guests, 'store-key', made(32), signal))
  return { id, storeKey }
}
