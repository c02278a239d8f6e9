// Files written where a person said: each beside its place first, so that what breaks off leaves what
// was there, and never outside the folder that was named.

import { createHash, randomBytes } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import type { Stats } from 'node:fs'
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
  checkNoFolder(to)
  try {
    await mkdir(dirname(to), { recursive: true })
    await pipeline(Readable.from(content, { objectMode: false }), createWriteStream(part))
    await rename(part, to)
  } catch (error) {
    await rm(part, { force: true })
    throw unwritable(to, error)
  }
}

/** Known before anything is sent, and not at the end. @throws VarveError INVALID_OPTION */
export function checkNoFolder(to: string): void {
  if (lookAt(to)?.isDirectory())
    throw new VarveError('INVALID_OPTION', `cannot write "${to}": ${WHY['EISDIR']}`)
}

function lookAt(place: string): Stats | undefined {
  try {
    return lstatSync(place, { throwIfNoEntry: false })
  } catch (error) {
    throw unwritable(place, error)
  }
}

/** What the disk said, in our words; what was no trouble of the disk stays as it is. */
export function unwritable(to: string, error: unknown): unknown {
  if (error instanceof VarveError || (error as { syscall?: string }).syscall === undefined)
    return error
  const { code = '', message } = error as Error & { code?: string }
  const why = WHY[code] ?? message
  return new VarveError('INVALID_OPTION', `cannot write "${to}": ${why}`, { cause: error })
}

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'you may not write there',
  EEXIST: 'a file is where a folder should be',
  EISDIR: 'there is a folder of this name',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a file is where a folder should be',
  EROFS: 'the disk is read-only',
}

export interface Saving {
  /** Others are passed over. */
  readonly wants?: (path: Path) => boolean
  /** Told of each that has its name. */
  readonly saved?: (path: Path, sizeBytes: number) => void
}

/**
 * The files of an archive, each whole or not at all; what was there under its name is replaced.
 * @throws VarveError INVALID_PATH, INVALID_OPTION: what came before stays
 */
export async function saveTar(
  archive: AsyncIterable<Uint8Array>,
  folder: Folder,
  { wants = () => true, saved = () => undefined }: Saving = {},
): Promise<void> {
  for await (const { path: name, sizeBytes, content } of readTar(archive)) {
    const path = parseFilePath(name)
    if (!wants(path)) continue
    await folder.save(path, content)
    saved(path, sizeBytes)
  }
}

const PART = '.varve-part'
/** Of an archive's file on its way, and of a big one's (downloading.ts). */
const LEFT_OVER = new RegExp(`^${RegExp.escape(PART)}-[0-9a-f]{16}$`)
const LEFT_OVER_OF = new RegExp(`\\.[0-9a-f]{16}${RegExp.escape(PART)}$`)
/** A file up to this size is read at once. */
const WHOLE_BYTES = 1 << 20

/** Reads and writes below a folder, and nowhere else. */
export class Folder {
  readonly place: string
  /** Known to be real folders; of each the names of parts that earlier runs left. */
  readonly #folders = new Map<string, readonly string[]>()
  // Drawn, so that no file of the archive has it.
  readonly #part = `${PART}-${randomBytes(8).toString('hex')}`

  /** @throws VarveError INVALID_OPTION when it cannot be made */
  constructor(place: string) {
    this.place = place
    try {
      mkdirSync(place, { recursive: true })
      this.#folders.set('', leftIn(place))
    } catch (error) {
      throw unwritable(place, error)
    }
  }

  /** Where it is on this disk; the folder that it lies in is made. @throws VarveError INVALID_OPTION */
  placeOf(path: Path): string {
    this.#enter(parentOf(path))
    return join(this.place, path)
  }

  /** Names of parts that an earlier run left beside it. */
  besideOf(path: Path): readonly string[] {
    return this.#enter(parentOf(path))
  }

  /** Of a file that is there; of anything else, a link too, undefined. */
  sizeOf(path: Path): number | undefined {
    const found = lookAt(this.placeOf(path))
    return found?.isFile() ? found.size : undefined
  }

  /** In hex; undefined: it cannot be read. */
  async sha256Of(path: Path, sizeBytes: number): Promise<string | undefined> {
    const hash = createHash('sha256')
    const place = this.placeOf(path)
    try {
      if (sizeBytes <= WHOLE_BYTES) hash.update(readFileSync(place))
      else
        for await (const chunk of createReadStream(place, { highWaterMark: WHOLE_BYTES }))
          hash.update(chunk as Uint8Array)
    } catch {
      return undefined
    }
    return hash.digest('hex')
  }

  async save(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const to = this.placeOf(path)
    const part = join(dirname(to), this.#part)
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
      throw unwritable(to, error)
    }
  }

  /** Makes the folder. A link in the way is not followed: it may lead out. */
  #enter(inside: string): readonly string[] {
    const known = this.#folders.get(inside)
    if (known) return known
    this.#enter(parentOf(inside))
    const place = join(this.place, inside)
    const found = lookAt(place)
    if (found && !found.isDirectory())
      throw new VarveError(
        'INVALID_OPTION',
        `cannot write below "${place}": it is ${found.isSymbolicLink() ? 'a symbolic link' : 'a file'}`,
      )
    try {
      if (!found) mkdirSync(place)
      const left = found ? leftIn(place) : []
      this.#folders.set(inside, left)
      return left
    } catch (error) {
      throw unwritable(place, error)
    }
  }
}

/** What a run that was killed was just writing is nobody's; parts of big files are gone on with. */
function leftIn(folder: string): readonly string[] {
  const names = readdirSync(folder)
  for (const name of names) if (LEFT_OVER.test(name)) rmSync(join(folder, name))
  return names.filter((name) => LEFT_OVER_OF.test(name))
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}
