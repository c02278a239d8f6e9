// Files on this machine, read below a directory and written where a person said.

import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, opendir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { readTar } from '../api/tar.ts'
import type { TarFile } from '../api/tar.ts'
import { VarveError } from '../base/errors.ts'
import { parseFilePath } from '../model/path.ts'

const CHUNK_BYTES = 1 << 20

/** Every file below a folder, in the order of names; what is neither file nor folder is said and left. */
export async function* filesBelow(
  folder: string,
  warn: (why: string) => void,
): AsyncGenerator<TarFile> {
  yield* below('')

  async function* below(inside: string): AsyncGenerator<TarFile> {
    const names: { name: string; kind: 'file' | 'dir' | 'other' }[] = []
    try {
      for await (const entry of await opendir(join(folder, inside)))
        names.push({
          name: entry.name,
          kind: entry.isDirectory() ? 'dir' : entry.isFile() ? 'file' : 'other',
        })
    } catch (error) {
      throw new VarveError(
        'INVALID_OPTION',
        `cannot read the directory: ${(error as Error).message}`,
      )
    }
    for (const { name, kind } of names.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = inside === '' ? name : `${inside}/${name}`
      if (kind === 'dir') yield* below(path)
      else if (kind === 'other') warn(`left out "${path}": it is neither a file nor a directory`)
      else {
        const file = join(folder, path)
        const { size } = await stat(file)
        yield {
          path: parseFilePath(path),
          sizeBytes: size,
          content: createReadStream(file, { highWaterMark: CHUNK_BYTES }),
        }
      }
    }
  }
}

/** Beside its place first, so that a broken transfer leaves what was there. */
export async function saveFile(content: AsyncIterable<Uint8Array>, to: string): Promise<void> {
  const part = `${to}.varve-part`
  await mkdir(dirname(to), { recursive: true })
  try {
    await pipeline(Readable.from(content, { objectMode: false }), createWriteStream(part))
    await rename(part, to)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

/** @returns the number of files written */
export async function saveTar(archive: AsyncIterable<Uint8Array>, folder: string): Promise<number> {
  let files = 0
  for await (const file of readTar(archive)) {
    // No archive may reach out of the folder: every path is parsed first.
    await saveFile(file.content, join(folder, parseFilePath(file.path)))
    files++
  }
  return files
}
