// Things that are fetched or built once and kept in the user's cache folder.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** `${XDG_CACHE_HOME:-~/.cache}/varve/<name>` */
export function cachePath(name: string): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'varve', name)
}

/**
 * The folder `name` of the cache, made by `make` if it is not there: into a folder beside it, then
 * renamed, so that an interrupted or a second maker does no harm.
 * @param says what is fetched and how long it usually takes, printed before making
 */
export async function cached(
  name: string,
  says: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = cachePath(name)
  if (existsSync(folder)) return folder
  console.log(`${says}; kept in ${folder}`)
  const draft = `${folder}.${process.pid}.tmp`
  mkdirSync(dirname(folder), { recursive: true })
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft)
  try {
    await make(draft)
    if (!existsSync(folder)) renameSync(draft, folder)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return folder
}
