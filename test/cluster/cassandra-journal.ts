// A log in Cassandra as the tests drive it: blocks of entries with ids, and what must hold of them.

import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { encodeEntry } from '../../src/log/block.ts'
import type { EncodedEntry } from '../../src/log/block.ts'
import type { Hash, LogGuests } from '../../src/log/guests.ts'
import { Journal } from '../../src/log/journal.ts'
import type { Entry } from '../../src/log/machine.ts'
import { FIRST_GENERATION } from '../../src/log/tables.ts'
import { idSource } from '../../src/model/id.ts'
import type { Tables } from '../../src/tables/tables.ts'

export type PadFact = { readonly pad: string }

const ids = idSource(systemClock, systemRandom)
const hash: Hash = (bytes) => createHash('sha256').update(bytes).digest()

export function journalOn(tables: Tables, project: string): Journal<PadFact> {
  const guests: LogGuests = {
    tables,
    bus: new MemoryBus({ clock: systemClock }),
    blob: new MemoryBlobStore(),
    clock: systemClock,
    random: systemRandom,
    hash,
  }
  return new Journal(guests, project, FIRST_GENERATION)
}

/** `size` entries of about 300 bytes after `seq`. */
export function entriesAfter(seq: number, size: number): EncodedEntry<PadFact>[] {
  return Array.from({ length: size }, (_, i) => {
    const entry: Entry<PadFact> = {
      seq: seq + 1 + i,
      id: ids(),
      atMs: 0,
      principal: 'test',
      cause: null,
      fingerprint: '',
      decision: { yes: [{ pad: '.'.repeat(100) }] },
    }
    return encodeEntry(entry, hash, () => 'unused')
  })
}

/**
 * Dense, the chain holds, and every acknowledged id is there once.
 * @returns ids in order
 */
export async function checkLog(
  tables: Tables,
  project: string,
  acknowledged: ReadonlySet<string>,
): Promise<string[]> {
  const journal = journalOn(tables, project)
  const { seq } = await journal.head(journal.genesis())
  const found: string[] = []
  for await (const block of journal.blocksFrom(journal.genesis(), seq)) {
    expect(block.firstSeq).toBe(found.length + 1)
    for (const entry of await journal.entries(block)) found.push(entry.id)
  }
  expect(found.length).toBe(seq)
  const distinct = new Set(found)
  expect(distinct.size).toBe(found.length)
  expect([...acknowledged].filter((id) => !distinct.has(id))).toEqual([])
  return found
}
