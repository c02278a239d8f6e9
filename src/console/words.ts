// State words are the same on the page, in the terminal and in events. Here each gets its shape and
// its tone; the word itself always stands beside them.

export type Tone = 'flow' | 'good' | 'waiting' | 'attention' | 'failed'
export type Shape = 'dot' | 'check' | 'cross' | 'ring' | 'pause' | 'square' | 'triangle' | 'skip'

export interface StateLook {
  readonly tone: Tone
  readonly shape: Shape
}

const LOOKS: Readonly<Record<string, StateLook>> = {
  open: { tone: 'waiting', shape: 'ring' },
  queued: { tone: 'waiting', shape: 'ring' },
  waiting: { tone: 'waiting', shape: 'ring' },
  running: { tone: 'flow', shape: 'dot' },
  stopping: { tone: 'waiting', shape: 'square' },
  finished: { tone: 'good', shape: 'check' },
  failed: { tone: 'failed', shape: 'cross' },
  unrunnable: { tone: 'attention', shape: 'triangle' },
  superseded: { tone: 'waiting', shape: 'skip' },
  stopped: { tone: 'waiting', shape: 'square' },
  paused: { tone: 'attention', shape: 'pause' },
}

/** `waiting: gpu` is led by its first word; a word nobody knows is shown as waiting. */
export function lookOf(state: string): StateLook {
  return LOOKS[leadWord(state)] ?? { tone: 'waiting', shape: 'ring' }
}

export function leadWord(state: string): string {
  return state.split(':', 1)[0] ?? state
}

export type BandLook = 'solid' | 'outlined' | 'hollow'

/** A layer lies once it is finished; it is an outline while it forms, and hollow when it never will. */
export function bandLook(state: string): BandLook {
  if (state === 'finished') return 'solid'
  if (state === 'open' || state === 'queued' || state === 'running') return 'outlined'
  return 'hollow'
}
