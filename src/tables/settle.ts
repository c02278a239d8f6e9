// From "unknown" to an answer. A conditional write whose reply was lost may have happened, may still
// happen, or may never happen; a read that does not show it proves nothing, because it may land
// afterwards. Only the identical write, repeated until its outcome is definite, tells:
//
// - applied: it stands (now, or it did all along).
// - refused, and no earlier attempt is in doubt: it does not stand.
// - refused after a doubt: perhaps by our own earlier attempt. Each row a guarded write puts carries
//   the write's id, so a row of ours means applied; the refusal counts only when every row this write
//   would have put is absent or carries another's id.
//
// Callers make guards that hold at most once (a head that only moves forward, a token that only
// rises): an attempt still under way when the refusal came is then refused as well.

import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import type { GuardedSpec, KeyOf, RowOf } from './schema.ts'
import { shapeOf } from './shape.ts'
import type { GuardedWrite, Outcome, Tables } from './tables.ts'

const BACKOFF = { firstMs: 5, maxMs: 1_000 }

export type Settled<R> = Exclude<Outcome<R>, { kind: 'unknown' }>

/**
 * Repeats the write until its outcome is definite.
 * @throws the cause of a `never` outcome while no attempt is in doubt (DISK_FULL): nothing happened
 * @throws the last cause when the signal is aborted: the outcome stays unknown
 */
export async function settle<T extends GuardedSpec>(
  tables: Tables,
  table: T,
  write: GuardedWrite<T>,
  guests: { clock: Clock; random: Random },
  signal?: AbortSignal,
): Promise<Settled<RowOf<T>>> {
  assert(write.put.length > 0, `table "${table.name}": nothing put would carry the write's id`)
  let inDoubt = false
  for (let attempt = 0; ; attempt++) {
    const outcome = await tables.writeIf(table, write)
    if (outcome.kind === 'applied') return outcome
    if (outcome.kind === 'unknown') {
      if (outcome.never && !inDoubt) throw outcome.cause
      if (!outcome.never) inDoubt = true
      if (signal?.aborted) throw outcome.cause
    } else if (!inDoubt) {
      return outcome
    } else {
      try {
        const ours = await carriesOurs(tables, table, write)
        return ours ? { kind: 'applied' } : outcome
      } catch (cause) {
        if (signal?.aborted) throw cause
      }
    }
    await guests.clock.sleep(backoffMs(BACKOFF, attempt, guests.random), signal)
  }
}

/** Whether a row this write would have put carries its id. */
async function carriesOurs<T extends GuardedSpec>(
  tables: Tables,
  table: T,
  write: GuardedWrite<T>,
): Promise<boolean> {
  const { columns, keySize } = shapeOf(table)
  for (const row of write.put) {
    const cells = row as Record<string, unknown>
    const key = Object.fromEntries(columns.slice(0, keySize).map((name) => [name, cells[name]]))
    const stored = await tables.get(table, key as KeyOf<T>, { serial: true })
    if ((stored as { write_id?: string } | undefined)?.write_id === write.writeId) return true
  }
  return false
}
