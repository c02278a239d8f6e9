// The chunks of a file, put together into runs (api/worker-runs.ts) with an address each.

import type { InputRun, RunChunk } from '../api/worker-runs.ts'
import { MAX_RUN_CHUNKS } from '../api/worker-runs.ts'
import type { LocatedChunk, Objects } from '../objects/objects.ts'

/** Of a run, unpacked: what a worker holds of it. */
const RUN_BYTES = 8 * 1024 * 1024
/** Of a run, in the answer itself. */
const CARRIED_BYTES = 512 * 1024
/** A worker asks for runs as it takes them, a few ahead. */
const TTL_SECONDS = 300

/** A run, and what its chunks are: for the server alone. */
export type LocatedRun = Omit<InputRun, 'proof'> & { readonly ids: readonly string[] }

/** A run being put together. */
interface Growing {
  readonly chunks: RunChunk[]
  readonly ids: string[]
  range: { readonly key: string; readonly offset: number; length: number } | undefined
  sizeBytes: number
  carriedBytes: number
}

export async function* runsOf(
  chunks: AsyncIterable<LocatedChunk>,
  presign: NonNullable<Objects['presign']>,
): AsyncGenerator<LocatedRun> {
  const closed = async ({ range, chunks, ids }: Growing): Promise<LocatedRun> => {
    if (!range) return { range: null, chunks, ids }
    const address = await presign(range.key, range, TTL_SECONDS)
    return { range: { ...address, sizeBytes: range.length }, chunks, ids }
  }
  let run = emptyRun()
  for await (const chunk of chunks) {
    if (!fits(run, chunk)) {
      yield await closed(run)
      run = emptyRun()
    }
    add(run, chunk)
  }
  if (run.chunks.length > 0) yield await closed(run)
}

function emptyRun(): Growing {
  return { chunks: [], ids: [], range: undefined, sizeBytes: 0, carriedBytes: 0 }
}

/** Between two frames of a range lies nothing: it would be opened with them. */
function fits({ chunks, range, sizeBytes, carriedBytes }: Growing, chunk: LocatedChunk): boolean {
  if (chunks.length === 0) return true
  if (chunks.length === MAX_RUN_CHUNKS || sizeBytes + chunk.sizeBytes > RUN_BYTES) return false
  if (!('frame' in chunk)) return carriedBytes + chunk.sizeBytes <= CARRIED_BYTES
  const { key, offset } = chunk.frame
  return !range || (range.key === key && range.offset + range.length === offset)
}

function add(run: Growing, chunk: LocatedChunk): void {
  const { id, sizeBytes } = chunk
  run.ids.push(id)
  run.sizeBytes += sizeBytes
  if (!('frame' in chunk)) {
    run.carriedBytes += sizeBytes
    run.chunks.push({ bytes: Buffer.from(chunk.bytes).toString('base64') })
    return
  }
  const { key, offset, length, headBytes, zstd } = chunk.frame
  run.range ??= { key, offset, length: 0 }
  const at = run.range.length + headBytes
  run.range.length += length
  run.chunks.push({ at, storedBytes: length - headBytes, sizeBytes, zstd })
}
