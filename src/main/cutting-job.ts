// What crosses between the thread that takes contents in and one that cuts them. The bytes themselves lie in
// memory both see.

import type { Cuts } from '../objects/guests.ts'

export interface CutJob {
  readonly id: number
  readonly memory: SharedArrayBuffer
  readonly start: number
  readonly end: number
  readonly isLast: boolean
}

export interface CutDone {
  readonly id: number
  readonly cuts: Cuts
}
