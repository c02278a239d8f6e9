// The folder that user code writes its output into, read and emptied beside that code.
// The runner has killed all code before anything here is called. It is not believed: it runs in the
// code's own container, and what it says is worth what that container is worth. So the folder may change
// at any time, and still nothing outside of it is read or touched:
// - a folder or file is opened one name after another, never through a link, first as a mere handle
//   (O_PATH), of which the kernel then says what it is;
// - from then on it is spoken to by its handle, /proc/self/fd/N, whatever its name stands for by now;
// - nothing but a regular file is ever opened for reading: opening a device or pipe does something.
// Folders and files are of our user, so that any mode can be mended.

import { constants } from 'node:fs'
import { chmod, lstat, open, readdir, readlink, rename, rmdir, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { posix } from 'node:path'
import { VarveError, isVarveError } from '../../../base/errors.ts'
import type { ScratchEntry } from '../../scratch.ts'
import { IN_USER } from './pod.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
/** Linux: a handle that only says where. Node does not name it. */
const O_PATH = 0o10000000
const MAX_PATH_CHARS = 1_024
const PART_BYTES = 1 << 18
/** What a name that is not what it was, or was never ours, is answered with. */
const CHANGED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM', 'EINVAL'])

type Name = string | Buffer

/** As the port says; paths are below `root`. */
export async function* outEntries(root: string): AsyncIterable<ScratchEntry> {
  const pending = ['']
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    await using folder = await folderAt(root, path)
    for (const entry of await list(folder)) {
      const name = entry.name.toString('utf8')
      const whole = path === '' ? name : `${path}/${name}`
      const of = (kind: ScratchEntry['kind'], sizeBytes = 0, target?: string): ScratchEntry => ({
        path: whole,
        kind,
        sizeBytes,
        target,
      })
      if (!Buffer.from(name, 'utf8').equals(entry.name)) yield of('bad-name')
      // Too long for any output: whoever takes it as a file says so.
      else if (whole.length > MAX_PATH_CHARS) yield of('file')
      else if (entry.isDirectory()) pending.push(whole)
      else if (entry.isFile()) yield of('file', await sizeOf(folder, name, whole))
      else if (entry.isSymbolicLink()) yield of('link', 0, await targetOf(folder, name, whole))
      else yield of('other')
    }
  }
}

/** As much as the file has when it is opened. @throws VarveError INVALID_PATH when it is no file (any more) */
export async function* readOut(root: string, path: string): AsyncIterable<Uint8Array> {
  const at = path.lastIndexOf('/')
  await using file = await regularFile(root, path.slice(0, Math.max(at, 0)), path.slice(at + 1))
  let left = (await file.stat()).size
  while (left > 0) {
    const buffer = Buffer.allocUnsafe(Math.min(left, PART_BYTES))
    const { bytesRead } = await file.read(buffer, 0, buffer.length)
    if (bytesRead === 0) return
    left -= bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** Takes away all that is in it, however deep: a folder's folders are lifted to the top before it goes. */
export async function emptyOut(root: string): Promise<void> {
  await using top = await open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  await chmod(self(top), 0o700)
  for (let entries = await list(top); entries.length > 0; entries = await list(top))
    for (const entry of entries)
      if (entry.isDirectory()) await takeFolder(top, entry.name)
      else await gone(unlink(below(top, entry.name)))
}

async function takeFolder(top: FileHandle, name: Buffer): Promise<void> {
  try {
    await using folder = await open(below(top, name), O_PATH | O_DIRECTORY | O_NOFOLLOW)
    await chmod(self(folder), 0o700)
    for (const entry of await list(folder))
      if (entry.isDirectory()) await lift(top, folder, entry.name)
      else await gone(unlink(below(folder, entry.name)))
  } catch (error) {
    if (!CHANGED.has(codeOf(error))) throw error
  }
  await gone(rmdir(below(top, name)))
}

async function lift(top: FileHandle, folder: FileHandle, name: Buffer): Promise<void> {
  await using child = await open(below(folder, name), O_PATH | O_DIRECTORY | O_NOFOLLOW)
  // A folder that may not be written cannot be moved.
  await chmod(self(child), 0o700)
  await gone(rename(below(folder, name), below(top, randomUUID())))
}

/** Whoever is at it at the same time may have been faster; what is still there is seen the next time. */
async function gone(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EPERM'].includes(codeOf(error))) throw error
  }
}

async function folderAt(root: string, path: string): Promise<FileHandle> {
  let folder = await open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  try {
    await chmod(self(folder), 0o700)
    for (const name of path === '' ? [] : path.split('/')) {
      const next = await open(below(folder, name), O_PATH | O_DIRECTORY | O_NOFOLLOW)
      await folder.close()
      folder = next
      await reachable(folder)
    }
    return folder
  } catch (error) {
    await folder.close()
    throw changed(path, error)
  }
}

/** Gives us its rights back when the code took them away. */
async function reachable(folder: FileHandle): Promise<void> {
  if (((await folder.stat()).mode & 0o500) !== 0o500) await chmod(self(folder), 0o700)
}

async function regularFile(root: string, path: string, name: string): Promise<FileHandle> {
  await using folder = await folderAt(root, path)
  try {
    await using handle = await open(below(folder, name), O_PATH | O_NOFOLLOW)
    const stat = await handle.stat()
    if (!stat.isFile()) throw refusal(`${path}/${name}`, 'it is no regular file')
    if ((stat.mode & 0o400) === 0) await chmod(self(handle), 0o600)
    return await open(self(handle), O_RDONLY)
  } catch (error) {
    throw changed(`${path}/${name}`, error)
  }
}

async function sizeOf(folder: FileHandle, name: string, whole: string): Promise<number> {
  try {
    return (await lstat(below(folder, name))).size
  } catch (error) {
    throw changed(whole, error)
  }
}

/** A link means a path as the code sees it. */
async function targetOf(
  folder: FileHandle,
  name: string,
  whole: string,
): Promise<string | undefined> {
  try {
    const to = await readlink(below(folder, name))
    const seen = posix.resolve(posix.dirname(`${IN_USER.out}/${whole}`), to)
    return seen.startsWith(`${IN_USER.pfs}/`) ? seen.slice(IN_USER.pfs.length + 1) : undefined
  } catch (error) {
    throw changed(whole, error)
  }
}

function list(folder: FileHandle) {
  return readdir(self(folder), { withFileTypes: true, encoding: 'buffer' })
}

function self(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`
}

function below(folder: FileHandle, name: Name): Buffer {
  return Buffer.concat([Buffer.from(`${self(folder)}/`), Buffer.from(name as string)])
}

function changed(path: string, error: unknown): unknown {
  if (isVarveError(error) || !CHANGED.has(codeOf(error))) return error
  return refusal(path, `it changed while it was read (${codeOf(error)})`)
}

function refusal(path: string, why: string): VarveError {
  const shown = JSON.stringify(posix.join(IN_USER.out, path))
  return new VarveError('INVALID_PATH', `cannot take ${shown}: ${why}`)
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}
