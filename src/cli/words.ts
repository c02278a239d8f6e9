// States, sizes, ages and times as people read them. Colour means state and nothing else.

import { styleText } from 'node:util'

const GLYPHS: Readonly<
  Record<string, readonly [glyph: string, colour: 'cyan' | 'green' | 'red' | 'yellow' | 'gray']>
> = {
  running: ['●', 'cyan'],
  partly: ['●', 'yellow'],
  failing: ['✗', 'red'],
  finished: ['✓', 'green'],
  success: ['✓', 'green'],
  recovered: ['✓', 'green'],
  skipped: ['✓', 'gray'],
  failed: ['✗', 'red'],
  unrunnable: ['✗', 'yellow'],
  superseded: ['○', 'gray'],
  open: ['○', 'gray'],
  queued: ['○', 'gray'],
  waiting: ['○', 'gray'],
  stopping: ['‖', 'yellow'],
  stopped: ['‖', 'yellow'],
  paused: ['‖', 'yellow'],
}

/** `✓ finished`: shape, word, and a colour when wanted; `waiting: gpu` is led by its first word. */
export function stateText(state: string, color: boolean): string {
  const [lead = ''] = state.split(':', 1)
  const [glyph, colour] = GLYPHS[lead] ?? ['○', 'gray']
  const text = `${glyph} ${state}`
  return color ? styleText(colour, text, { validateStream: false }) : text
}

/** `at most 8 pods, 3.20 an hour`: how much of a pipeline may run at once. */
export function boundText(bound: {
  readonly pods: number | null
  readonly costPerHour: number | null
}): string {
  const { pods, costPerHour } = bound
  const parts = pods === null ? [] : [many(pods, 'pod')]
  if (costPerHour !== null) parts.push(`${costPerHour.toFixed(2)} an hour`)
  if (parts.length === 0) return 'nothing bounds it: give parallelismSpec or budget'
  return `at most ${parts.join(', ')}`
}

export function muted(text: string, color: boolean): string {
  return color ? styleText('dim', text, { validateStream: false }) : text
}

/** Binary units, one decimal: `12 B`, `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const s = Math.floor(ms / 1000)
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`
}

/** `now`, `12 s ago`, `3 min ago`. */
export function ageText(atMs: number, nowMs: number): string {
  const s = Math.floor((nowMs - atMs) / 1000)
  if (s < 1) return 'now'
  if (s < 60) return `${s} s ago`
  if (s < 3600) return `${Math.floor(s / 60)} min ago`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`
  return `${Math.floor(s / 86_400)} d ago`
}

export function countText(n: number): string {
  return Math.round(n).toLocaleString('en-US')
}

export function many(n: number, noun: string): string {
  return `${countText(n)} ${noun}${n === 1 ? '' : 's'}`
}
