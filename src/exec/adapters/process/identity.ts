// What code is: the bytes of the program and of the files its arguments name, never their dates.

import { createHash, hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { glob, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { VarveError } from '../../../base/errors.ts'
import type { CodeDigest } from '../../runner.ts'

const MAX_FILES = 10_000
const MAX_CACHED = 10_000
/** A file changed this lately may change again without its times moving: it is not remembered. */
const RACY_MS = 100

/** Digests of files, read again only when device, inode, size or one of the times differs. */
export class FileDigests {
  readonly #known = new Map<string, { stamp: string; digest: string }>()

  /** 64 hex digits, or undefined when it is not a readable regular file. */
  async of(path: string): Promise<string | undefined> {
    const before = await stat(path, { bigint: true }).catch(() => undefined)
    if (!before?.isFile()) return undefined
    const stamp = [before.dev, before.ino, before.size, before.mtimeNs, before.ctimeNs].join(':')
    const known = this.#known.get(path)
    if (known?.stamp === stamp) return known.digest
    const digest = createHash('sha256')
    try {
      for await (const part of createReadStream(path)) digest.update(part as Buffer)
    } catch {
      return undefined
    }
    const hex = digest.digest('hex')
    if (this.#known.size >= MAX_CACHED) this.#known.clear()
    if (Date.now() - Number(before.ctimeMs) > RACY_MS) this.#known.set(path, { stamp, digest: hex })
    return hex
  }
}

/**
 * @param executable the resolved file of cmd[0]
 * @throws VarveError CODE_FAILED when a `code` glob names nothing or too much
 */
export async function identify(
  digests: FileDigests,
  executable: string,
  args: readonly string[],
  code: readonly string[],
  root: string,
): Promise<CodeDigest> {
  const parts: (readonly [string, string])[] = []
  const program = await digests.of(executable)
  if (program === undefined)
    throw new VarveError('CODE_FAILED', `cannot read the program "${executable}"`)
  parts.push(['program', program])
  for (const arg of args) {
    if (arg === '' || arg.length > 4096 || arg.includes('\0')) continue
    const digest = await digests.of(resolve(root, arg))
    if (digest !== undefined) parts.push(['argument', digest])
  }
  for (const pattern of code) {
    const files: string[] = []
    for await (const file of glob(pattern, { cwd: root })) {
      files.push(file)
      if (files.length > MAX_FILES)
        throw new VarveError(
          'CODE_FAILED',
          `code glob "${pattern}" matches over ${MAX_FILES} files`,
        )
    }
    let matched = 0
    for (const file of files.sort()) {
      const digest = await digests.of(resolve(root, file))
      if (digest === undefined) continue
      matched++
      parts.push([`code ${file}`, digest])
    }
    if (matched === 0)
      throw new VarveError('CODE_FAILED', `code glob "${pattern}" matches no file in "${root}"`)
  }
  return hash('sha256', JSON.stringify(parts))
}
