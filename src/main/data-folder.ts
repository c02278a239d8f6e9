// The folder of an embedded server: tables.sqlite, blobs/, scratch/, token, store.key, server.json, lock.

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fromHex, toHex } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import { systemRandom } from '../base/random.ts'

export interface DataFolder {
  readonly path: string
  readonly tablesFile: string
  readonly blobsFolder: string
  readonly scratchFolder: string
  /** What clients send; 64 hex digits. */
  readonly token: string
  /** Keys the ids of everything stored; losing it makes the store unreadable as itself. */
  readonly storeKey: Uint8Array
  /** Says where the server listens, for clients that start from this folder. */
  publishServer(url: string): Promise<void>
  release(): Promise<void>
}

/** What a server makes in it, the lock aside. */
const OURS = ['tables.sqlite', 'tables.sqlite-wal', 'tables.sqlite-shm', 'blobs', 'scratch', 'demo']
const OUR_SECRETS = ['token', 'store.key', 'server.json']

/**
 * `fresh`: takes away what earlier servers left, once the lock is held; nothing else that lies there.
 * @throws VarveError DATA_IN_USE when another server has it
 */
export async function openDataFolder(path: string, fresh = false): Promise<DataFolder> {
  const folder = resolve(path)
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: Error) => {
    const said = `cannot use "${folder}" as the data folder: ${error.message}`
    throw new VarveError('INVALID_OPTION', said, { cause: error })
  })
  const lock = takeLock(join(folder, 'lock'), folder)
  if (fresh)
    for (const name of [...OURS, ...OUR_SECRETS])
      await rm(join(folder, name), { recursive: true, force: true })
  const token = await secretFile(join(folder, 'token'))
  const storeKey = fromHex(await secretFile(join(folder, 'store.key')))
  const serverFile = join(folder, 'server.json')
  const scratchFolder = join(folder, 'scratch')
  await rm(scratchFolder, { recursive: true, force: true }) // what a crash left behind
  await mkdir(scratchFolder, { recursive: true })
  return {
    path: folder,
    tablesFile: join(folder, 'tables.sqlite'),
    blobsFolder: join(folder, 'blobs'),
    scratchFolder,
    token,
    storeKey,
    async publishServer(url) {
      await writeFile(`${serverFile}.new`, `${JSON.stringify({ url, pid: process.pid })}\n`)
      await rename(`${serverFile}.new`, serverFile)
    },
    async release() {
      await rm(serverFile, { force: true })
      lock.close()
    },
  }
}

/**
 * Of a folder that a server has made, for who only reads what is in it.
 * @throws VarveError INVALID_OPTION: it is none; DATA_IN_USE when a server has it
 */
export async function openDataFolderToRead(
  path: string,
): Promise<Pick<DataFolder, 'path' | 'tablesFile' | 'blobsFolder' | 'storeKey' | 'release'>> {
  const folder = resolve(path)
  const key = await readFile(join(folder, 'store.key'), 'utf8').catch((error: Error) => {
    const said = `cannot read "${folder}" as a data folder: ${error.message}`
    throw new VarveError('INVALID_OPTION', said, { cause: error })
  })
  const lock = takeLock(join(folder, 'lock'), folder)
  return {
    path: folder,
    tablesFile: join(folder, 'tables.sqlite'),
    blobsFolder: join(folder, 'blobs'),
    storeKey: fromHex(key.trim()),
    release() {
      lock.close()
      return Promise.resolve()
    },
  }
}

/**
 * An open exclusive transaction of a database nobody else uses: the operating system lets go of it
 * however the process ends, so a lock never outlives its owner and no pid is ever guessed at.
 */
export function takeLock(file: string, folder: string): DatabaseSync {
  const lock = new DatabaseSync(file)
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    throw new VarveError('DATA_IN_USE', `cannot open "${folder}": another server is using it`, {
      cause: error,
    })
  }
  return lock
}

/** 64 hex digits, made on first use, readable by the owner only. */
async function secretFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error
  }
  const secret = toHex(systemRandom.bytes(32))
  // Whole or absent, also when the machine stops here: a half token would lock everybody out.
  await writeFile(`${file}.new`, `${secret}\n`, { mode: 0o600, flush: true })
  await rename(`${file}.new`, file)
  return secret
}
