// A store with a rich history, and what may happen to its objects.

import { concat } from '../../src/base/bytes.ts'
import type { Random } from '../../src/base/random.ts'
import type { BlobStore } from '../../src/blob/blob.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import type { NamedRoot } from '../../src/objects/upkeep/verify.ts'
import type { Finding } from '../../src/objects/upkeep/verify-report.ts'
import { commit, noise, p, prose } from './fixture.ts'

/** Directories large and small, files of every form, several commits, and runs that wait to be merged. */
export async function richHistory(engine: ObjectEngine): Promise<NamedRoot[]> {
  const files: Record<string, Uint8Array | string> = {
    tiny: 'a few bytes',
    'docs/readme': prose(1, 3_000),
    'docs/deep/er/still/note': noise(2, 700),
    'big/noise': noise(3, 400_000),
    'big/prose': prose(4, 200_000),
  }
  // Entries of 400 bytes: a large directory without many of them.
  for (let i = 0; i < 250; i++)
    files[`many/${String(i).padStart(5, '0')}`] = noise(i, i % 5 === 0 ? 700 : 400)
  const roots: TreeRef[] = [await commit(engine, null, files)]
  const edited = noise(3, 400_000)
  edited.set(noise(5, 100), 200_000)
  const edits: Record<string, Uint8Array | string | null>[] = [
    { 'big/noise': edited },
    { 'many/00070': null, 'many/00100x': noise(6, 5_000), 'many/00200': 'changed' },
    { docs: null, 'docs/other': prose(7, 40_000) },
    { 'big/noise': concat([edited, noise(8, 70_000)]) },
    { tiny: 'a few bytes more', 'new/file': noise(9, 66_000) },
  ]
  for (const edit of edits) roots.push(await commit(engine, roots.at(-1) ?? null, edit))
  const base = roots.at(-1) ?? null
  const writer = engine.writer(base)
  await writer.put(p('staged/file'), noise(10, 30_000))
  await writer.append(p('big/prose'), noise(11, 80_000))
  await writer.delete(p('new'))
  const named = roots.map((root, i) => ({ name: `images@master=${i}`, ref: root }))
  return [
    ...named,
    { name: 'a run', ref: await writer.finish() },
    { name: 'a note', ref: await engine.putBytes(noise(12, 2_000)), chunk: true },
  ]
}

export interface Damage {
  readonly kind: string
  readonly keys: readonly string[]
  /** How it is now; undefined: it is gone. */
  readonly bytes: readonly (Uint8Array | undefined)[]
}

/** One of everything that may happen to stored bytes; surely it changes something. */
export async function damage(
  random: Random,
  blob: BlobStore,
  keys: readonly string[],
): Promise<Damage> {
  const pick = (n: number): number => Math.floor(random.next() * n)
  const key = keys[pick(keys.length)] as string
  const good = (await blob.get(key)) as Uint8Array
  const bad = new Uint8Array(good)
  const kind = ['flip', 'truncate', 'remove', 'zero', 'swap'][pick(5)] as string
  switch (kind) {
    case 'flip': {
      // Half of them among the nodes and the footer, which lie at the end.
      const at =
        pick(2) === 0 ? pick(bad.length) : bad.length - 1 - pick(Math.min(2_000, bad.length))
      bad[at] = (bad[at] as number) ^ (1 << pick(8))
      return { kind, keys: [key], bytes: [bad] }
    }
    case 'truncate':
      return { kind, keys: [key], bytes: [good.slice(0, pick(good.length))] }
    case 'remove':
      return { kind, keys: [key], bytes: [undefined] }
    case 'zero': {
      const at = pick(bad.length)
      bad.fill(0, at, at + 512)
      if (bad.every((byte, i) => byte === good[i])) return damage(random, blob, keys)
      return { kind, keys: [key], bytes: [bad] }
    }
    default: {
      const other = keys[pick(keys.length)] as string
      if (other === key) return damage(random, blob, keys)
      return { kind, keys: [key, other], bytes: [await blob.get(other), good] }
    }
  }
}

/** A blob store over another one in which some objects are not what they were. */
export function damaged(blob: BlobStore, { keys, bytes }: Damage): BlobStore {
  const changed = new Map(keys.map((key, i) => [key, bytes[i]]))
  return {
    put: (objects) => blob.put(objects),
    async get(key, range) {
      if (!changed.has(key)) return blob.get(key, range)
      const { offset = 0, length = Infinity } = range ?? {}
      return changed.get(key)?.slice(offset, offset + length)
    },
    head: async (key) => (changed.has(key) ? changed.get(key)?.length : blob.head(key)),
    async *list(prefix, after) {
      for await (const object of blob.list(prefix, after)) {
        if (!changed.has(object.key)) yield object
        const now = changed.get(object.key)
        if (now) yield { key: object.key, sizeBytes: now.length }
      }
    },
    delete: (gone) => blob.delete(gone),
  }
}

/** Keys of packs that were found to be damaged or missing. */
export function foundIn(findings: readonly Finding[]): string[] {
  return findings.flatMap((one) => (one.kind === 'pack' ? [one.key] : []))
}
