// Whether a log's facts can be what decide made of proposals: heads that move along parents, lineage
// that is whole. It looks at facts alone, so it holds for the logs of every release.

import { AssertionError } from '../base/assert.ts'
import type { Entry } from '../log/machine.ts'
import type { Fact } from '../model/ops.ts'
import { headFaults } from './check-heads.ts'
import { lineageFaults } from './check-lineage.ts'
import { applyFact, foldEntry } from './fold.ts'
import type { View } from './state.ts'
import { emptyState, overlay } from './state.ts'

/** One entry, and the state it was written on and made. */
export interface Step {
  readonly seq: number
  /** Of the proposal. */
  readonly id: string
  readonly facts: readonly Fact[]
  readonly before: View
  readonly after: View
}

export interface Fault {
  /** Which of the two it breaks. */
  readonly of: 'heads' | 'lineage'
  readonly text: string
}

export class HistoryCheck {
  readonly #state
  /** What comes after an entry that cannot be folded is not looked at. */
  #ended = false

  constructor(project: string) {
    this.#state = emptyState(project)
  }

  /** What the next entry breaks; to be given all of them in order, from the first on. */
  faultsOf(entry: Entry<Fact>): readonly Fault[] {
    if (this.#ended) return []
    const faults: Fault[] = []
    try {
      if ('yes' in entry.decision) {
        const facts = entry.decision.yes
        const after = overlay(this.#state)
        for (const fact of facts) applyFact(after, fact)
        const { seq, id } = entry
        const step = { seq, id, facts, before: this.#state, after }
        for (const text of headFaults(step)) faults.push({ of: 'heads', text: `${seq}: ${text}` })
        for (const text of lineageFaults(step))
          faults.push({ of: 'lineage', text: `${seq}: ${text}` })
      }
      foldEntry(this.#state, entry)
    } catch (error) {
      // Folding asserts what queues must hold; and it knows no facts of newer releases.
      if (!(error instanceof AssertionError)) throw error
      this.#ended = true
      faults.push({ of: 'heads', text: `${entry.seq}: ${error.message}; what follows is unread` })
    }
    return faults
  }
}
