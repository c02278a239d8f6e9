// Planted bugs of collection: each takes one step of it away.

import { fromHex } from '../../src/base/bytes.ts'
import type { Keeping } from '../../src/objects/upkeep/collect.ts'
import type { Defect } from '../simulation/node.ts'

async function* nothing(): AsyncGenerator<never> {}

/** What the first mark found unused is deleted as it is. */
function noSecondMark(): Defect {
  return {
    keeping: (keeping): Keeping => {
      let marks = 0
      return {
        stand: () => keeping.stand(),
        close: () => keeping.close(),
        leftovers: () => keeping.leftovers(),
        roots: () => (marks++ === 0 ? keeping.roots() : nothing()),
        since: () => nothing(),
      }
    },
  }
}

/** Writers of before go on as if nothing had been. */
function sessionsNotClosed(): Defect {
  return {
    keeping: (keeping) => ({
      stand: () => keeping.stand(),
      close: () => keeping.stand(),
      leftovers: () => keeping.leftovers(),
      roots: () => keeping.roots(),
      since: (from, to) => keeping.since(from, to),
    }),
  }
}

/** Sessions are closed in the log; the guards of a table take from anybody. */
function notRaised(name: string): () => Defect {
  return () => ({
    apiTables: (tables) => ({
      get: tables.get.bind(tables),
      scan: tables.scan.bind(tables),
      put: tables.put.bind(tables),
      remove: tables.remove.bind(tables),
      apply: tables.apply.bind(tables),
      close: tables.close.bind(tables),
      writeIf: (table, write) => {
        if (table.name !== name) return tables.writeIf(table, write)
        const put = write.put.map((row) => ('closed' in row ? { ...row, closed: 0 } : row))
        const { key, is } = write.expect
        const expect =
          is === 'absent' || !('closed' in is) ? { key, is } : { key, is: { ...is, closed: 0 } }
        return tables.writeIf(table, { ...write, put, expect } as typeof write)
      },
    }),
  })
}

/** A pack is called as one that was deleted: whoever deletes it again means the other. */
function namesReused(): Defect {
  const deleted: string[] = []
  return {
    blob: (blob) => ({
      put: blob.put.bind(blob),
      get: blob.get.bind(blob),
      head: blob.head.bind(blob),
      list: blob.list.bind(blob),
      delete: (keys) => {
        for (const key of keys)
          if (key.startsWith('packs/')) deleted.push(key.slice('packs/'.length))
        return blob.delete(keys)
      },
    }),
    packNames: (random) => ({
      next: () => random.next(),
      bytes: (size) => {
        const name = size === 16 ? deleted.pop() : undefined
        return name === undefined ? random.bytes(size) : fromHex(name)
      },
    }),
  }
}

/**
 * Nobody is told where what is used of a pack was carried over to; or what is read in the stead of nodes
 * that were purged of something.
 */
const forgotten = (name: 'forwards' | 'redactions') => (): Defect => {
  return {
    apiTables: (tables) => ({
      get: tables.get.bind(tables),
      scan: tables.scan.bind(tables),
      put: (table, rows, at) =>
        table.name === name ? Promise.resolve() : tables.put(table, rows, at),
      remove: tables.remove.bind(tables),
      apply: tables.apply.bind(tables),
      close: tables.close.bind(tables),
      writeIf: tables.writeIf.bind(tables),
    }),
  }
}

export const COLLECTING_DEFECTS: Readonly<Record<string, () => Defect>> = {
  'no-second-mark': noSecondMark,
  'sessions-not-closed': sessionsNotClosed,
  'stages-not-raised': notRaised('runs'),
  'uploads-not-raised': notRaised('uploads'),
  'results-not-raised': notRaised('work'),
  'names-reused': namesReused,
  'forwards-forgotten': forgotten('forwards'),
  'redactions-forgotten': forgotten('redactions'),
}
