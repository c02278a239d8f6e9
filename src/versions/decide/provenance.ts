import type { BranchKey } from '../../model/entities.ts'
import { branchKey } from '../../model/entities.ts'
import { isName } from '../../model/name.ts'
import type { View } from '../state.ts'
import type { Stop, Transaction } from './transaction.ts'
import { ensureBranch, missingRepo, refuse } from './transaction.ts'

/** Makes sure a branch may be made from these: they exist (or are created empty) and close no circle. */
export function linkInputs(
  tx: Transaction,
  key: string,
  inputs: readonly BranchKey[],
): Stop | undefined {
  const lower = allBelow(tx.view, key)
  for (const input of inputs) {
    const above = branchKey(input)
    if (above === key || lower.has(above))
      return refuse('CYCLE', `cannot make "${key}" from "${above}": that is made from "${key}"`)
    if (!isName(input.branch))
      return refuse('INVALID_OPTION', `cannot use "${input.branch}" as the name of a branch`)
    if (!ensureBranch(tx, input)) return missingRepo(tx.view, input.repo)
  }
  return undefined
}

function allBelow(view: View, key: string): ReadonlySet<string> {
  const lower = new Set<string>()
  const rest = [key]
  for (let next = rest.pop(); next !== undefined; next = rest.pop())
    for (const below of view.below.get(next) ?? [])
      if (!lower.has(below)) {
        lower.add(below)
        rest.push(below)
      }
  return lower
}

/** The same branches once each, in the order they were first named. */
export function distinct(keys: readonly BranchKey[]): BranchKey[] {
  const known = new Map<string, BranchKey>()
  for (const { repo, branch } of keys)
    if (!known.has(branchKey({ repo, branch })))
      known.set(branchKey({ repo, branch }), { repo, branch })
  return [...known.values()]
}

export function sameBranches(a: readonly BranchKey[], b: readonly BranchKey[]): boolean {
  const keys = new Set(a.map(branchKey))
  return keys.size === b.length && b.every((key) => keys.has(branchKey(key)))
}
