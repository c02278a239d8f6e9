// Bytes on their way in.

import { createHash } from 'node:crypto'
import { readTar } from '../api/tar.ts'
import { VarveError } from '../base/errors.ts'
import type { Path } from '../model/path.ts'
import { joinPath, parseFilePath, parsePath } from '../model/path.ts'
import type { TreeWriter } from '../objects/objects.ts'

export interface Counted {
  readonly content: AsyncIterable<Uint8Array>
  /** Of all that passed, in hex; asked once, at the end. */
  sha256(): string
  sizeBytes(): number
}

/** Passes chunks on, and knows their digest and number of bytes afterwards. */
export function countedBytes(source: AsyncIterable<Uint8Array>): Counted {
  const hash = createHash('sha256')
  let size = 0
  async function* content(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      hash.update(chunk)
      size += chunk.length
      yield chunk
    }
  }
  return { content: content(), sha256: () => hash.digest('hex'), sizeBytes: () => size }
}

/**
 * Puts every file of a tar archive below `base`.
 * @throws VarveError INVALID_OPTION, INVALID_PATH, PATH_CONFLICT: then nothing of it may be used
 */
export async function putArchive(
  writer: TreeWriter,
  archive: AsyncIterable<Uint8Array>,
  base: Path,
): Promise<{ files: number; bytes: number }> {
  let files = 0
  let bytes = 0
  for await (const file of readTar(archive)) {
    const path = parseFilePath(file.path.replace(/^\.\//, ''))
    const at = base === '' ? path : parsePath(joinPath(base, path))
    const { sizeBytes } = await writer.put(at, file.content)
    files++
    bytes += sizeBytes
  }
  if (files === 0)
    throw new VarveError('INVALID_OPTION', 'cannot commit the archive: it holds no file')
  return { files, bytes }
}
