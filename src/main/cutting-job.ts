// What crosses between the thread that takes contents in and one that cuts them. The bytes themselves lie in
// memory both see.

import type { Cuts, Stretch } from '../objects/guests.ts'

/** A window of a content, or word that no more come of it. */
export type CutJob =
  | ({
      readonly id: number
      readonly content: number
      readonly memory: SharedArrayBuffer
    } & Stretch)
  | { readonly content: number; readonly memory: null }

export interface CutDone {
  readonly id: number
  readonly cuts: Cuts
}
