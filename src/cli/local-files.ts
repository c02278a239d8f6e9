// Files written where a person said: each beside its place first, so that what breaks off leaves what
// was there, and never outside the folder that was named.

import { randomBytes } from 'node:crypto'
import { createWriteStream, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { readTar } from '../api/tar.ts'
import { VarveError } from '../base/errors.ts'
import type { Path } from '../model/path.ts'
import { parseFilePath } from '../model/path.ts'

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

/**
 * Every file of an archive, each whole or not at all; what was there under its name is replaced.
 * @param saved told of each
 * @throws VarveError INVALID_PATH, INVALID_OPTION: what came before stays
 */
export async function saveTar(
  archive: AsyncIterable<Uint8Array>,
  folder: string,
  saved: () => void = () => undefined,
): Promise<number> {
  const below = new Below(folder)
  let files = 0
  for await (const { path, content } of readTar(archive)) {
    await below.save(parseFilePath(path), content)
    files++
    saved()
  }
  return files
}

/** Writes below a folder, and nowhere else. */
class Below {
  readonly #folder: string
  /** Known to be real folders. */
  readonly #folders = new Set<string>([''])
  // Drawn, so that no file of the archive has it.
  readonly #part = `.varve-part-${randomBytes(8).toString('hex')}`

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
  }

  async save(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const inside = path.slice(0, Math.max(0, path.lastIndexOf('/')))
    this.#enter(inside)
    const part = join(this.#folder, inside, this.#part)
    const to = join(this.#folder, path)
    try {
      // Small files come in one piece; a thread for each would cost more than the writing.
      if (content instanceof Uint8Array) writeFileSync(part, content, { flag: 'wx' })
      else
        await pipeline(
          Readable.from(content, { objectMode: false }),
          createWriteStream(part, { flags: 'wx' }),
        )
      renameSync(part, to)
    } catch (error) {
      rmSync(part, { force: true })
      if (error instanceof VarveError) throw error
      const why = (error as Error).message
      throw new VarveError('INVALID_OPTION', `cannot write "${to}": ${why}`, { cause: error })
    }
  }

  /** Makes the folder. A link in the way is not followed: it may lead out. */
  #enter(inside: string): void {
    if (this.#folders.has(inside)) return
    this.#enter(inside.slice(0, Math.max(0, inside.lastIndexOf('/'))))
    const folder = join(this.#folder, inside)
    const found = lstatSync(folder, { throwIfNoEntry: false })
    if (!found) mkdirSync(folder)
    else if (!found.isDirectory())
      throw new VarveError(
        'INVALID_OPTION',
        `cannot write below "${folder}": it is ${found.isSymbolicLink() ? 'a symbolic link' : 'a file'}`,
      )
    this.#folders.add(inside)
  }
}
