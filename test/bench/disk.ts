// Folders, files and the page cache of benchmarks that are about the disk.

import { createCipheriv, createHash } from 'node:crypto'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { mkdir, open, readdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../services/process.ts'

const BLOCK_BYTES = 1024 * 1024

/** A folder on a real disk for as long as `work` takes; VARVE_BENCH_DIR says where. */
export async function withFolder<T>(
  needsBytes: number,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const parent = process.env['VARVE_BENCH_DIR'] ?? tmpdir()
  const { bavail, bsize } = statfsSync(parent)
  const freeBytes = bavail * bsize
  if (freeBytes < needsBytes)
    throw new Error(
      `cannot run in "${parent}": it needs ${gib(needsBytes)}, and ${gib(freeBytes)} are free; name another place with VARVE_BENCH_DIR`,
    )
  const folder = mkdtempSync(join(parent, 'varve-bench-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`

/** Bytes that do not compress, the same for the same seed, as fast as AES. */
export function* noise(sizeBytes: number, seed: string): Generator<Buffer> {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const zeros = Buffer.alloc(BLOCK_BYTES)
  for (let left = sizeBytes; left > 0; left -= BLOCK_BYTES)
    yield cipher.update(left < BLOCK_BYTES ? zeros.subarray(0, left) : zeros)
}

/** Durable, and afterwards in the page cache as far as that reaches. */
export async function writeNoise(path: string, sizeBytes: number, seed: string): Promise<void> {
  const file = await open(path, 'w')
  for (const block of noise(sizeBytes, seed)) await file.write(block)
  await file.sync()
  await file.close()
}

/** A file in pieces of 1 MiB that are used again: a writer is done with one when it asks for the next. */
export async function* pieces(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path)
  const free = [Buffer.allocUnsafeSlow(BLOCK_BYTES), Buffer.allocUnsafeSlow(BLOCK_BYTES)] as const
  const read = async (n: number): Promise<Uint8Array> => {
    const piece = free[n % 2 ? 1 : 0]
    const { bytesRead } = await file.read(piece, 0, BLOCK_BYTES, n * BLOCK_BYTES)
    return piece.subarray(0, bytesRead)
  }
  try {
    let next = read(0)
    for (let n = 1; ; n++) {
      const piece = await next
      if (piece.length === 0) return
      next = read(n)
      next.catch(() => {})
      yield piece
    }
  } finally {
    await file.close()
  }
}

/** `perDir` small files in each of several folders; the i-th file is `d<i / perDir>/f<i>`. */
export async function writeSmallFiles(
  folder: string,
  files: number,
  perDir: number,
  sizeBytes: number,
): Promise<void> {
  let i = 0
  for (const block of noise(files * sizeBytes, 'small files'))
    for (let at = 0; at < block.length; at += sizeBytes, i++) {
      const path = smallFile(i, perDir)
      if (i % perDir === 0) await mkdir(join(folder, path, '..'), { recursive: true })
      writeFileSync(join(folder, path), block.subarray(at, at + sizeBytes))
    }
}

export function smallFile(i: number, perDir: number): string {
  return `d${String(Math.floor(i / perDir)).padStart(5, '0')}/f${String(i).padStart(8, '0')}`
}

/** All files below, as long as they are. */
export async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size
  return bytes
}

/** What is read next comes from the disk, for whoever reads it. False: only root can do that. */
export async function dropCaches(): Promise<boolean> {
  await run('sync', [])
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    return true
  } catch {
    return false
  }
}

/** What earlier work left to be written is not charged to the next. */
export async function settleDisk(): Promise<void> {
  await run('sync', [])
}
