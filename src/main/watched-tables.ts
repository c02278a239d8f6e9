// Counts conditional writes whose outcome was not known at once: how often the store left us in doubt.

import { channel } from 'node:diagnostics_channel'
import type { Tables } from '../tables/tables.ts'

/** {what}: the table. */
const unknown = channel('varve:tables:unknown')

export function watchedTables(tables: Tables): Tables {
  return {
    get: (table, key, options) => tables.get(table, key, options),
    scan: (table, partition, options) => tables.scan(table, partition, options),
    put: (table, rows, at) => tables.put(table, rows, at),
    remove: (table, key, at) => tables.remove(table, key, at),
    apply: (writes) => tables.apply(writes),
    async writeIf(table, write) {
      const outcome = await tables.writeIf(table, write)
      if (outcome.kind === 'unknown') unknown.publish({ what: table.name })
      return outcome
    },
    close: () => tables.close(),
  }
}
