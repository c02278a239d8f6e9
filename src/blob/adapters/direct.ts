// Large objects go to the disk past the page cache: through it each byte is copied once more, into a page
// that must be found first and pushes out what somebody reads. It asks for memory and lengths in whole
// pages; where those are not given, or the file system does not do it, the object goes the common way.

import { constants, open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

const PAGE_BYTES = 4096
/** A smaller object is likely to be read again soon, and costs a sync anyway. */
const DIRECT_FROM_BYTES = 4 * 1024 * 1024

/** Makes a file of whole pages, not synced; how many of the bytes are in it: perhaps none. */
export async function writeDirect(path: string, bytes: Uint8Array): Promise<number> {
  // Not every system has it.
  const flag = constants.O_DIRECT as number | undefined
  if (flag === undefined || bytes.length < DIRECT_FROM_BYTES) return 0
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_WRONLY | constants.O_CREAT | flag)
    const pages = bytes.length - (bytes.length % PAGE_BYTES)
    for (let at = 0; at < pages;) {
      const { bytesWritten } = await file.write(bytes, at, pages - at, at)
      if (bytesWritten % PAGE_BYTES > 0) return 0
      at += bytesWritten
    }
    return pages
  } catch (error) {
    if ((error as { code?: string }).code === 'EINVAL') return 0
    throw error
  } finally {
    await file?.close()
  }
}
