// Where a file is cut into chunks: FastCDC with normalisation 2.
//
// - A cut depends on the bytes since the last cut alone, so any stretch that begins at a cut can be
//   cut again by itself and meets the old cuts.
// - The hash is a 32-bit gear, h = (h << 1) + GEAR[byte]: it forgets a byte after 32 steps. Its top 18
//   and 14 bits are asked, which 32 bits serve as well as 64 (the table's upper half would only be
//   shifted out of a longer window), and 32 bits are what JavaScript computes at one step a byte.
// - A chunk has at least MIN bytes (skipped without hashing), at most MAX; before TARGET a cut asks
//   for 18 zero bits, after it for 14, which pulls sizes towards TARGET.
// - Changing anything here changes every id of every file over WHOLE_FILE_BYTES: test/objects keeps
//   golden cuts.

const MIN_BYTES = 16 * 1024
const TARGET_BYTES = 64 * 1024
export const MAX_CHUNK_BYTES = 256 * 1024
/** Files up to this size are one chunk and are never looked at. */
export const WHOLE_FILE_BYTES = 64 * 1024

const STRICT = 0xffffc000 | 0
const LOOSE = 0xfffc0000 | 0
const WINDOW = 32
/** Longer calls run in code the engine optimised half-way through a loop, a quarter slower. */
const SCAN_BYTES = 64 * 1024

/** Published seed: the first digits of pi after the point, 0x243f6a88. */
const GEAR = gearTable(0x243f6a88)

function gearTable(seed: number): Int32Array {
  let state = seed | 0
  return Int32Array.from({ length: 256 }, () => {
    // splitmix32, two multiplications a draw.
    state = (state + 0x9e3779b9) | 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return z ^ (z >>> 16)
  })
}

/**
 * The size of the chunk that begins at `start`. The bytes [start, end) must be at least
 * MAX_CHUNK_BYTES long or reach the end of the file.
 */
export function cutSize(bytes: Uint8Array, start: number, end: number): number {
  const size = end - start
  if (size <= MIN_BYTES) return size
  const limit = start + Math.min(size, MAX_CHUNK_BYTES)
  const middle = Math.min(start + TARGET_BYTES, limit)
  let at = start + MIN_BYTES
  while (at < limit) {
    const strict = at < middle
    const stop = Math.min(at + SCAN_BYTES, strict ? middle : limit)
    const cut = scan(bytes, at, stop, strict ? STRICT : LOOSE)
    if (cut >= 0) return cut - start
    at = stop
  }
  return limit - start
}

/** As `cutSize`, of bytes that others may follow; 0: where the chunk ends depends on them. */
export function closedSize(bytes: Uint8Array, start: number, end: number): number {
  const held = end - start
  const size = cutSize(bytes, start, end)
  if (size < held || held >= MAX_CHUNK_BYTES) return size
  if (held < MIN_BYTES) return 0
  const mask = held < TARGET_BYTES ? STRICT : LOOSE
  return scan(bytes, end, end + 1, mask) === end ? held : 0
}

/** The first cut after one of the bytes [from − 1, to − 1), as a position; −1: none. */
function scan(bytes: Uint8Array, from: number, to: number, mask: number): number {
  let h = 0
  let i = from - WINDOW
  for (; i < from - 1; i++) h = ((h << 1) + (GEAR[bytes[i] as number] as number)) | 0
  const last = to - 1
  for (; i + 8 <= last; i += 8) {
    h = ((h << 1) + (GEAR[bytes[i] as number] as number)) | 0
    if ((h & mask) === 0) return i + 1
    h = ((h << 1) + (GEAR[bytes[i + 1] as number] as number)) | 0
    if ((h & mask) === 0) return i + 2
    h = ((h << 1) + (GEAR[bytes[i + 2] as number] as number)) | 0
    if ((h & mask) === 0) return i + 3
    h = ((h << 1) + (GEAR[bytes[i + 3] as number] as number)) | 0
    if ((h & mask) === 0) return i + 4
    h = ((h << 1) + (GEAR[bytes[i + 4] as number] as number)) | 0
    if ((h & mask) === 0) return i + 5
    h = ((h << 1) + (GEAR[bytes[i + 5] as number] as number)) | 0
    if ((h & mask) === 0) return i + 6
    h = ((h << 1) + (GEAR[bytes[i + 6] as number] as number)) | 0
    if ((h & mask) === 0) return i + 7
    h = ((h << 1) + (GEAR[bytes[i + 7] as number] as number)) | 0
    if ((h & mask) === 0) return i + 8
  }
  for (; i < last; i++) {
    h = ((h << 1) + (GEAR[bytes[i] as number] as number)) | 0
    if ((h & mask) === 0) return i + 1
  }
  return -1
}
