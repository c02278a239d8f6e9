// How numbers, sizes, times and ids read on the page: aligned, short, exact in the title.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const MINUS = '\u2212'

/** `812 B`, `1.4 MiB`: binary units, one decimal above bytes. */
export function formatBytes(bytes: number): string {
  let value = Math.abs(bytes)
  let unit = 0
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  const text = unit === 0 ? String(Math.round(value)) : value.toFixed(1)
  return `${bytes < 0 ? MINUS : ''}${text} ${UNITS[unit]}`
}

/** `12,408`: groups of three, the same everywhere in the world. */
export function formatCount(count: number): string {
  return (count < 0 ? MINUS : '') + String(Math.abs(count)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `+3`, `−2`, `±0`. */
export function formatDelta(
  delta: number,
  format: (value: number) => string = formatCount,
): string {
  return delta === 0 ? `±${format(0)}` : `${delta > 0 ? '+' : ''}${format(delta)}`
}

/**
 * `now`, `20 s`, `4 min`, `3 h`, `2 d`. Steps of ten seconds within the first minute, so that a
 * quiet page stays still.
 */
export function formatAge(atMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - atMs) / 1000))
  if (seconds < 10) return 'now'
  if (seconds < 60) return `${Math.floor(seconds / 10) * 10} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** `84 ms`, `2.4 s`, `1 min 12 s`, `2 h 5 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/** The exact moment, for titles. */
export function formatInstant(atMs: number): string {
  return new Date(atMs).toISOString()
}
