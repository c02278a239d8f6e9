// A folder on this machine, in the order of names, with what a repo takes of it: files, hidden ones
// too. A symbolic link is not followed, for it may lead anywhere, also round in a circle; it is said and
// left out like a socket or a device.
//
// Reading is synchronous, a few files at a time: for a million small ones that costs a third of
// asking the system for each through a thread.

import type { Dirent, Stats } from 'node:fs'
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { VarveError } from '../base/errors.ts'
import type { Path } from '../model/path.ts'
import { parseFilePath } from '../model/path.ts'

export interface LocalFile {
  /** Inside the folder. */
  readonly path: Path
  /** Where it is on this machine. */
  readonly file: string
  readonly sizeBytes: number
  /** Another when the content is: its size, and when it changed. */
  readonly state: string
}

/**
 * @param warn told of what is left out
 * @throws VarveError INVALID_PATH at a name no repo takes, INVALID_OPTION at what cannot be read
 */
export function* filesBelow(folder: string, warn: (why: string) => void): Generator<LocalFile> {
  for (const { path, file } of namesBelow(folder, warn)) {
    const found = look(file)
    if (found.isFile()) yield { path, file, sizeBytes: found.size, state: stateOf(found) }
    else warn(`left out "${path}": it was a file a moment ago`)
  }
}

/** As `filesBelow`, without asking for each what it is like: that is most of what looking costs. */
export function* namesBelow(
  folder: string,
  warn: (why: string) => void,
): Generator<Pick<LocalFile, 'path' | 'file'>> {
  yield* below('')

  function* below(inside: string): Generator<Pick<LocalFile, 'path' | 'file'>> {
    for (const found of entriesIn(join(folder, inside))) {
      const path = inside === '' ? found.name : `${inside}/${found.name}`
      const file = join(folder, path)
      // It may stand for bytes that are no text.
      if (found.name.includes('\ufffd')) look(file)
      if (found.isDirectory()) yield* below(path)
      else if (found.isFile()) yield { path: parseFilePath(path), file }
      else warn(`left out "${path}": ${kindOf(found)}`)
    }
  }
}

function entriesIn(folder: string): Dirent[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    throw new VarveError('INVALID_OPTION', `cannot read the directory: ${(error as Error).message}`)
  }
}

/** Of a link itself, not of what it leads to. */
export function look(file: string): Stats {
  try {
    return lstatSync(file)
  } catch (error) {
    if (file.includes('\ufffd'))
      throw new VarveError('INVALID_PATH', `cannot put "${file}": its name is not valid UTF-8`)
    throw unreadable(file, error)
  }
}

export function stateOf({ size, mtimeMs, ctimeMs }: Stats): string {
  return `${size} ${mtimeMs} ${ctimeMs}`
}

function kindOf(found: Dirent): string {
  return found.isSymbolicLink() ? 'it is a symbolic link' : 'it is neither a file nor a directory'
}

export function unreadable(file: string, error: unknown): VarveError {
  return new VarveError('INVALID_OPTION', `cannot read "${file}": ${(error as Error).message}`)
}
