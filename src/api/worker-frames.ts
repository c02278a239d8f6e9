// Many small files in one body: for each a line of JSON that says what it is and how long, then its
// bytes. One request for a hundred small files instead of a hundred requests.

import { concat, EMPTY, fromUtf8, utf8 } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'

export interface Frame {
  /** An input, or a datum. */
  readonly of: string
  readonly path: string
  readonly bytes: Uint8Array
}

/** Files over this size travel alone. */
export const SMALL_FILE_BYTES: number = 64 * 1024
/** About as much travels in one body; what makes it more is the last. */
export const FRAMES_BYTES: number = 1 << 20
export const MAX_FRAMES = 200
const MAX_HEAD_BYTES = 8 * 1024

export function frame({ of, path, bytes }: Frame): Uint8Array {
  return concat([utf8(`${JSON.stringify({ of, path, sizeBytes: bytes.length })}\n`), bytes])
}

/** @throws VarveError INVALID_OPTION on what is none; UNAVAILABLE when it ends in the middle of one */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  let held: Uint8Array = EMPTY
  let head: ReturnType<typeof parseHead> | undefined
  for await (const chunk of chunks) {
    held = held.length === 0 ? chunk : concat([held, chunk])
    for (;;) {
      if (!head) {
        const end = held.indexOf(10)
        if (end < 0 && held.length <= MAX_HEAD_BYTES) break
        head = parseHead(held.subarray(0, Math.max(0, end)))
        held = held.subarray(end + 1)
      }
      const { of, path, sizeBytes } = head
      if (held.length < sizeBytes) break
      yield { of, path, bytes: held.subarray(0, sizeBytes) }
      held = held.subarray(sizeBytes)
      head = undefined
    }
  }
  if (head || held.length > 0)
    throw new VarveError('UNAVAILABLE', 'cannot read on: files in one body were cut short')
}

function parseHead(bytes: Uint8Array): { of: string; path: string; sizeBytes: number } {
  try {
    const { of, path, sizeBytes } = JSON.parse(fromUtf8(bytes)) as Record<string, unknown>
    if (
      typeof of === 'string' &&
      typeof path === 'string' &&
      Number.isInteger(sizeBytes) &&
      Number(sizeBytes) >= 0 &&
      Number(sizeBytes) <= SMALL_FILE_BYTES
    )
      return { of, path, sizeBytes: Number(sizeBytes) }
  } catch {
    // Said below.
  }
  throw new VarveError('INVALID_OPTION', 'cannot read files in one body: a head is malformed')
}
