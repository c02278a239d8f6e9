// Packs in which nothing was found that is used: writers store anew what lies in them, until they are
// gone or were found to be used after all.
//
// What a process knows of them is as old as its last load. That is enough where a writer says how old:
// see docs/design/0011-collection-beside-writers.md.

import { Lru } from '../lru.ts'
import type { Place } from '../packs/pack.ts'
import { FORWARDS } from '../packs/forwards.ts'
import { PURGING } from './purge-turn.ts'
import { REDACTIONS } from './redactions.ts'
import { defineTable } from '../../tables/schema.ts'
import type { Tables } from '../../tables/tables.ts'

/** `dead`: the round that found it unused a second time and is to delete it. */
export const CONDEMNED = defineTable({
  name: 'condemned',
  kind: 'facts',
  partition: ['store'],
  clustering: ['pack'],
  columns: { store: 'text', pack: 'text', round: 'int', size_bytes: 'int', dead: 'int' },
})

/** The round of collecting that goes on, or was the last: see collect.ts. */
export const COLLECTIONS = defineTable({
  name: 'collections',
  kind: 'guarded',
  partition: ['store'],
  clustering: [],
  columns: { store: 'text', round: 'int', phase: 'text', write_id: 'text' },
})

export const OBJECTS_TABLES = [CONDEMNED, COLLECTIONS, FORWARDS, REDACTIONS, PURGING] as const

/** One store of packs has one list. */
export const STORE = { store: 'packs' } as const

const BORN = 64 * 1024

interface CondemnedGuests {
  /** Lets go of what is known of where chunks lie. */
  forgetChunks(): void
  /** Lets go of what is kept of a pack, which has perhaps been deleted. */
  forgetPack(pack: string): void
  /** What is to be as new as the list. */
  also(): Promise<void>
}

export class Condemned {
  readonly #tables: Tables | undefined
  readonly #guests: CondemnedGuests
  #packs: ReadonlySet<string> = new Set()
  #phase = ''
  #loading: Promise<void> | undefined
  #next: Promise<void> | undefined
  /** Loads that have ended. */
  loads = 0
  /** Rises when packs may have gone: what is remembered of where chunks lie is void then. */
  round = 0
  /** Of what was stored here: the loads there had been when its writer began. */
  readonly born = new Lru<number>(BORN)

  /** Without tables nothing is ever condemned. */
  constructor(tables: Tables | undefined, guests: CondemnedGuests) {
    this.#tables = tables
    this.#guests = guests
  }

  has(pack: string): boolean {
    return this.#packs.has(pack)
  }

  unless(place: Place | undefined): Place | undefined {
    return place && this.#packs.has(place.pack) ? undefined : place
  }

  /** All that was condemned before the call is known on return. @throws VarveError UNAVAILABLE */
  load(): Promise<void> {
    // The one that runs may have begun too early.
    if (this.#loading)
      return (this.#next ??= this.#loading.catch(() => {}).then(() => this.#begin()))
    return this.#begin()
  }

  #begin(): Promise<void> {
    this.#next = undefined
    this.#loading = this.#load().finally(() => (this.#loading = undefined))
    return this.#loading
  }

  async #load(): Promise<void> {
    if (this.#tables) {
      const packs = new Set<string>()
      for await (const { pack } of this.#tables.scan(CONDEMNED, STORE)) packs.add(pack)
      // After the scan: a row that it missed because it was taken away shows here.
      const row = await this.#tables.get(COLLECTIONS, STORE, { serial: true })
      const phase = `${row?.round ?? 0} ${row?.phase ?? ''}`
      if (phase !== this.#phase || row?.phase === 'deleting') {
        this.round++
        this.#guests.forgetChunks()
      }
      this.#phase = phase
      for (const pack of this.#packs) if (!packs.has(pack)) this.#guests.forgetPack(pack)
      this.#packs = packs
      await this.#guests.also()
    }
    this.loads++
  }
}
