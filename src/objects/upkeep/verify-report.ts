// What verify has found so far: each suspect pack once, each hurt root and path, and counts. Findings are
// put down here by who makes them and taken away by who tells them.

import { must } from '../../base/assert.ts'
import { packKey } from '../packs/pack-footer.ts'
import type { PackFault } from './verify-pack.ts'

/** JSON-able. The last one is `done`. */
export type Finding =
  | {
      readonly kind: 'progress'
      readonly doing: 'packs' | 'trees'
      readonly packs: number
      readonly bytes: number
      readonly roots: number
    }
  | {
      readonly kind: 'pack'
      /** Its key in the blob store. */
      readonly key: string
      readonly state: 'damaged' | 'missing'
      readonly faults: readonly PackFault[]
      /** Faults that are not among them. */
      readonly moreFaults: number
    }
  | {
      readonly kind: 'hurt'
      readonly root: string
      /** Of the file or, where a directory cannot be read, of that; empty: all of it. */
      readonly path: string
      /** Of the pack that is to blame; empty: it cannot be told. */
      readonly key: string
      readonly why: string
    }
  | ({ readonly kind: 'done' } & VerifyCounts)

export interface VerifyCounts {
  /** Packs read, of those there are. */
  readonly packs: number
  readonly packsAll: number
  readonly bytes: number
  readonly nodes: number
  readonly chunks: number
  readonly roots: number
  readonly damaged: number
  readonly missing: number
  /** Paths of roots; more may be hurt when it is MAX_HURT. */
  readonly hurt: number
  /** Packs that nothing in the roots needs. */
  readonly unneeded: number
}

/** Of one pack, so many hurts are told. */
const HURT_TOLD = 100
/** What is hurt is looked for in every root until there is so much of it. */
const MAX_HURT = 100_000

export interface Faults {
  readonly faults: readonly PackFault[]
  readonly moreFaults: number
}

export class VerifyReport {
  readonly counts: { -readonly [K in keyof VerifyCounts]: number } = {
    packs: 0,
    packsAll: 0,
    bytes: 0,
    nodes: 0,
    chunks: 0,
    roots: 0,
    damaged: 0,
    missing: 0,
    hurt: 0,
    unneeded: 0,
  }
  readonly #suspects = new Map<string, { readonly faults: readonly PackFault[]; told: number }>()
  readonly #findings: Finding[] = []
  #lastHurt = ''

  get suspects(): number {
    return this.#suspects.size
  }

  /** Whether a pack cannot be trusted. */
  isSuspect(pack: string): boolean {
    return this.#suspects.has(pack)
  }

  faultsOf(pack: string): readonly PackFault[] {
    return this.#suspects.get(pack)?.faults ?? []
  }

  /** So much is hurt that nobody looks for more of it. */
  get isEnough(): boolean {
    return this.counts.hurt >= MAX_HURT
  }

  /** Tells it once. */
  suspect(pack: string, state: 'damaged' | 'missing', { faults, moreFaults }: Faults): void {
    if (this.#suspects.has(pack)) return
    this.#suspects.set(pack, { faults, told: 0 })
    this.counts[state]++
    this.#findings.push({ kind: 'pack', key: packKey(pack), state, faults, moreFaults })
  }

  /** By a pack that is suspect. Many chunks of one file are one hurt. */
  hurt(root: string, path: string, pack: string, why: string): void {
    const hurt = `${root} ${path} ${pack}`
    if (hurt === this.#lastHurt) return
    this.#lastHurt = hurt
    this.counts.hurt++
    const suspect = must(this.#suspects.get(pack), 'a suspect')
    if (suspect.told++ < HURT_TOLD)
      this.#findings.push({ kind: 'hurt', root, path, key: packKey(pack), why })
  }

  /** Where it cannot be told what else there is. */
  lost(root: string, why: string): void {
    this.counts.hurt++
    this.#findings.push({ kind: 'hurt', root, path: '', key: '', why })
  }

  /** Before roots are looked at a second time. */
  forgetHurts(): void {
    this.counts.hurt = 0
    this.counts.roots = 0
    this.#lastHurt = ''
    for (const suspect of this.#suspects.values()) suspect.told = 0
  }

  get isEmpty(): boolean {
    return this.#findings.length === 0
  }

  take(): Finding[] {
    return this.#findings.splice(0)
  }

  progress(doing: 'packs' | 'trees'): Finding {
    const { packs, bytes, roots } = this.counts
    return { kind: 'progress', doing, packs, bytes, roots }
  }
}
