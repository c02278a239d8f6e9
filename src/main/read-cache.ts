// Where a process of a cluster keeps what it has read of the store: below one folder of the machine, each
// process has one of its own, the first that nobody uses, so that a restart finds what was kept.

import { channel } from 'node:diagnostics_channel'
import { mkdir, stat } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { isVarveError, VarveError } from '../base/errors.ts'
import { CachedBlobStore } from '../blob/adapters/cached.ts'
import type { BlobStore } from '../blob/blob.ts'
import type { OptionsOf } from '../config/options.ts'
import { takeLock } from './data-folder.ts'

/** As of the cache itself: it is not used, {folder, error}. */
const idle = channel('varve:cache:idle')
const MOST_PROCESSES = 100

export interface ReadCache {
  readonly blob: BlobStore
  close(): Promise<void>
}

/** Without a folder it can use, the store itself: a cache stops nobody. */
export async function openReadCache(
  store: BlobStore,
  options: Pick<OptionsOf<'serve'>, 'diskCache' | 'diskCacheBytes'>,
): Promise<ReadCache> {
  const budgetBytes = options.diskCacheBytes
  const parent = resolve(options.diskCache ?? join(tmpdir(), `varve-cache-${userInfo().username}`))
  if (budgetBytes > 0)
    try {
      const { folder, lock } = await takeFolder(parent)
      const blob = await CachedBlobStore.open(store, { folder, budgetBytes })
      return {
        blob,
        async close() {
          await blob.close()
          lock.close()
        },
      }
    } catch (error) {
      idle.publish({ folder: parent, error })
    }
  return { blob: store, close: () => Promise.resolve() }
}

async function takeFolder(parent: string): Promise<{ folder: string; lock: DatabaseSync }> {
  await mkdir(parent, { recursive: true, mode: 0o700 })
  // The temporary folder is everybody's: what others made there they could read.
  if ((await stat(parent)).uid !== userInfo().uid)
    throw new VarveError('INVALID_OPTION', `cannot keep anything in "${parent}": it is not ours`)
  for (let i = 0; i < MOST_PROCESSES; i++) {
    const folder = join(parent, String(i))
    await mkdir(folder, { recursive: true, mode: 0o700 })
    try {
      return { folder, lock: takeLock(join(folder, 'lock'), folder) }
    } catch (error) {
      if (!isVarveError(error, 'DATA_IN_USE')) throw error
    }
  }
  throw new VarveError('DATA_IN_USE', `cannot keep anything in "${parent}": all of it is in use`)
}
