// A hindrance in words: reasons are for programs (`ImageMissing`), people read `image missing`.

import type { Hindrance } from './pool-status.ts'

/** Where the program's word is not a person's. */
const WORDS: Readonly<Record<string, string>> = { Unschedulable: 'no node' }

/** `ImageMissing` gives `image missing`. */
export function reasonText(reason: string): string {
  return WORDS[reason] ?? reason.replace(/(?<=[a-z0-9])(?=[A-Z])/g, ' ').toLowerCase()
}

/** The state word of what waits for workers: `waiting: image missing`. */
export function waitingState(hindrance: Hindrance): string {
  return `waiting: ${reasonText(hindrance.reason)}`
}

/** A start like any other is no trouble: it needs nobody. */
export function isTrouble(hindrance: Hindrance | null): hindrance is Hindrance {
  return hindrance !== null && hindrance.reason !== 'Starting'
}
