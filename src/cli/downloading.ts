// Gets one file of a commit, and goes on where it broke off. What has come lies beside its place, under
// a name that holds the digest of what it is a part of: a part of another version is never gone on with.
//
// How sure the whole is: the server checks every chunk against its id before it sends it, and the
// connection and the length are checked here. What an earlier run left on this disk may have suffered
// since (a crash keeps a file's length and not always its bytes), so before it is gone on with its SHA-256
// is compared with that of the same bytes on the server. The file gets its name when it is on disk.

import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, readdirSync } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { VarveError } from '../base/errors.ts'
import type { Client } from '../client/client.ts'
import { checkNoFolder, unwritable } from './local-files.ts'
import { Patience } from './patience.ts'
import type { Progress } from './progress.ts'

/** Of the digest, in the name of a part. */
const TAG_DIGITS = 16
const SUFFIX = '.varve-part'
/** Names of 255 bytes are the most a disk takes. */
const MAX_STEM = 200

const FILE = 'GET /projects/:project/repos/:repo/commits/:ref/file'
const CHECKSUM = 'GET /projects/:project/repos/:repo/commits/:ref/checksum'

export interface DownloadingOptions {
  readonly client: Client
  readonly params: { readonly project: string; readonly repo: string; readonly ref: string }
  readonly path: string
  /** 64 hex digits, of the version that is meant. */
  readonly digest: string
  readonly sizeBytes: number
  readonly to: string
  /** Names beside it that may be parts of other versions; undefined: its folder is looked through. */
  readonly beside?: readonly string[] | undefined
  readonly progress: Progress
  readonly note: (text: string) => void
  readonly signal: AbortSignal
}

/** @throws VarveError; what has come stays for the next time */
export async function getFile(options: DownloadingOptions): Promise<void> {
  const { to, path, sizeBytes, progress, note } = options
  checkNoFolder(to)
  const part = await partFor(options)
  let have = await sizeOf(part)
  if (have > 0 && !(await isGood(part, have, options))) {
    note(`what an earlier run left of "${path}" is damaged: it starts anew`)
    await rm(part)
    have = 0
  } else if (have > 0) {
    note(`"${path}" goes on where an earlier run broke off`)
    progress.skip(have)
  }
  const file = await open(part, 'a').catch((error: unknown) => {
    throw unwritable(part, error)
  })
  try {
    const patience = new Patience(options.signal)
    while (have < sizeBytes) {
      const before = have
      try {
        have = await receive(file, have, options)
        if (have < sizeBytes) throw new VarveError('UNAVAILABLE', 'cannot read on: it ended early')
      } catch (error) {
        have = (await file.stat()).size
        if (have > before) patience.renew()
        await patience.wait(error)
      }
    }
    if (have > sizeBytes)
      throw new VarveError('CORRUPT', `cannot take "${to}": ${have} bytes came, not ${sizeBytes}`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(part, to).catch((error: unknown) => {
    throw unwritable(to, error)
  })
}

/** Where the part of this version is, or goes; parts of others are taken away. */
async function partFor({ to, path, digest, beside, note }: DownloadingOptions): Promise<string> {
  const folder = dirname(to)
  const stem = `${basename(to).slice(0, MAX_STEM)}.`
  const name = `${stem}${digest.slice(0, TAG_DIGITS)}${SUFFIX}`
  const isPart = new RegExp(`^[0-9a-f]{${TAG_DIGITS}}${RegExp.escape(SUFFIX)}$`)
  for (const other of beside ?? namesIn(folder)) {
    if (!other.startsWith(stem) || !isPart.test(other.slice(stem.length)) || other === name)
      continue
    note(`"${path}" is not what it was when it was begun: it starts anew`)
    await rm(join(folder, other))
  }
  return join(folder, name)
}

/** The folder is made where there is none. */
function namesIn(folder: string): readonly string[] {
  try {
    mkdirSync(folder, { recursive: true })
    return readdirSync(folder)
  } catch (error) {
    throw unwritable(folder, error)
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch {
    return 0
  }
}

/** Whether these are the first bytes of the file. */
async function isGood(part: string, have: number, options: DownloadingOptions): Promise<boolean> {
  const { client, params, path, sizeBytes, digest, signal } = options
  if (have > sizeBytes) return false
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 }))
    hash.update(chunk as Uint8Array)
  const there = await client.call(CHECKSUM, { params, query: { path, length: have }, signal })
  return there.digest === digest && there.sha256 === hash.digest('hex')
}

/** Adds what comes from `have` on. @returns how much is there then */
async function receive(
  file: Awaited<ReturnType<typeof open>>,
  have: number,
  { client, params, path, digest, to, progress, signal }: DownloadingOptions,
): Promise<number> {
  const range = { offset: have }
  const sent = await client.download(FILE, {
    params,
    query: { path },
    range,
    ifDigest: digest,
    signal,
  })
  if (sent.digest !== digest)
    throw new VarveError(
      'HEAD_MOVED',
      `cannot get "${path}" on: it is another file now; get it again, or name a commit`,
    )
  if (sent.offset !== have) {
    await file.truncate(0)
    progress.takeBack(have)
    have = 0
  }
  for await (const chunk of sent.content) {
    await file.writeFile(chunk).catch((error: unknown) => {
      throw unwritable(to, error)
    })
    have += chunk.length
    progress.add(chunk.length)
  }
  return have
}
