// One byte inserted into a large file, at 20 places one after another, each durable before the next: as
// a patch, and by sending the whole file again; what is stored for it. Beside it borg and restic, which
// know only the second way.

import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { seededRandom } from '../../src/base/random.ts'
import { parsePath } from '../../src/model/path.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { borgCreate, borgInit, resticBackup, resticInit } from './backup.ts'
import type { Bench, Metric } from './bench.ts'
import { median, metric } from './bench.ts'
import type { Cost } from './cost.ts'
import { runJob } from './cost.ts'
import { bytesBelow, noise, pieces, settleDisk, withFolder, writeNoise } from './disk.ts'
import { engineIn } from './engine.ts'
import { peers } from './peers.ts'

const GIB = 2 ** 30
const BIG = parsePath('big')
const PLACES = 20
const SEED = 'insert'

interface Stored {
  readonly folder: string
  readonly root: TreeRef
}

interface Patched {
  readonly ms: readonly number[]
  readonly newBytes: readonly number[]
  readonly digest: string
}

async function store({ source, folder }: { source: string; folder: string }): Promise<TreeRef> {
  const { engine } = await engineIn(folder)
  const writer = engine.writer(null)
  await writer.put(BIG, pieces(source))
  return (await writer.finishOnto(null)).root
}

async function patch({
  folder,
  root,
  sizeBytes,
}: Stored & { sizeBytes: number }): Promise<Patched> {
  const { engine, blob } = await engineIn(folder)
  const random = seededRandom(20)
  const ms: number[] = []
  const newBytes: number[] = []
  let digest = ''
  for (let i = 0; i < PLACES; i++) {
    const offset = Math.floor(random.next() * sizeBytes)
    const before = blob.putBytes
    const start = performance.now()
    // Each time into the file as it was: what one insert costs.
    const writer = engine.writer(root)
    await writer.patch(BIG, [{ offset, deleteBytes: 0, content: new Uint8Array([7]) }])
    const { root: now } = await writer.finishOnto(root)
    ms.push(performance.now() - start)
    newBytes.push(blob.putBytes - before)
    digest = (await engine.stat(now, BIG))?.digest ?? ''
  }
  return { ms, newBytes, digest }
}

/** The file as the last patch made it, sent again. */
async function again({ source, folder, root }: Stored & { source: string }): Promise<{
  newBytes: number
  digest: string
}> {
  const { engine, blob } = await engineIn(folder)
  const writer = engine.writer(root)
  await writer.put(BIG, pieces(source))
  const { root: now } = await writer.finishOnto(root)
  return { newBytes: blob.putBytes, digest: (await engine.stat(now, BIG))?.digest ?? '' }
}

/** The same noise with a byte at the last of the places. */
async function writeInserted(path: string, sizeBytes: number): Promise<void> {
  const random = seededRandom(20)
  let offset = 0
  for (let i = 0; i < PLACES; i++) offset = Math.floor(random.next() * sizeBytes)
  const file = await open(path, 'w')
  let at = 0
  for (const block of noise(sizeBytes, SEED)) {
    const here = offset - at
    if (here >= 0 && here < block.length) {
      await file.write(block.subarray(0, here))
      await file.write(new Uint8Array([7]))
      await file.write(block.subarray(here))
    } else await file.write(block)
    at += block.length
  }
  await file.sync()
  await file.close()
}

export const bench: Bench = {
  name: 'insert',
  what: `one byte into a file of noise at ${PLACES} places, the engine alone: medians`,
  jobs: { store, patch, again },
  async run({ small }) {
    const sizes = small ? [GIB / 20, GIB / 2] : [GIB, 10 * GIB]
    const metrics: Metric[] = []
    for (const sizeBytes of sizes)
      await withFolder(2.4 * sizeBytes, async (folder) => {
        const words = `${(sizeBytes / GIB).toPrecision(2)} GiB`
        const found = await peers('borg', 'restic')
        const source = join(folder, 'source')
        const into = join(folder, 'into')
        await writeNoise(source, sizeBytes, SEED)
        const { result: root } = await runJob<TreeRef>('insert', 'store', { source, folder: into })
        const stored = { folder: into, root, sizeBytes, source }
        await settleDisk()
        const patched = await runJob<Patched>('insert', 'patch', stored)
        const { ms, newBytes, digest } = patched.result
        const bytes = median(newBytes)
        metrics.push(
          metric(`${words}: patch`, median(ms), 'ms', {
            goal: '≤ 50 ms',
            met: median(ms) <= 50,
          }),
          metric(`${words}: patch, the first`, ms[0] ?? NaN, 'ms'),
          metric(`${words}: patch, stored`, bytes / 1000, 'KB', {
            goal: '≤ 200 KB',
            met: bytes <= 200_000,
          }),
        )
        await writeInserted(source, sizeBytes)
        await settleDisk()
        const sent = await runJob<{ newBytes: number; digest: string }>('insert', 'again', stored)
        if (sent.result.digest !== digest) throw new Error('patch and put give different files')
        await rm(into, { recursive: true })
        metrics.push(
          metric(`${words}: sent again, stored`, sent.result.newBytes / 1000, 'KB', {
            goal: '≤ 200 KB',
            met: sent.result.newBytes <= 200_000,
          }),
        )
        const seconds = sent.cost.wallMs / 1000
        const compare = async (
          name: 'borg' | 'restic',
          init: (into: string) => Promise<void>,
          save: (archive: string) => Promise<Cost>,
        ): Promise<void> => {
          if (!found.has(name)) return
          await writeNoise(source, sizeBytes, SEED)
          await init(into)
          await save('one')
          const before = await bytesBelow(join(into, 'repo'))
          await writeInserted(source, sizeBytes)
          await settleDisk()
          const { wallMs } = await save('two')
          const more = (await bytesBelow(join(into, 'repo'))) - before
          await rm(into, { recursive: true })
          metrics.push(
            metric(`${words}: sent again, against ${name}`, seconds, 's', {
              peer: { name, value: wallMs / 1000 },
              ...(name === 'borg'
                ? { goal: '≤ 0.6 ×', met: seconds <= (0.6 * wallMs) / 1000 }
                : {}),
            }),
            metric(`${words}: ${name}, stored`, more / 1000, 'KB'),
          )
        }
        await compare('borg', borgInit, (archive) => borgCreate(into, archive, source))
        await compare('restic', resticInit, () => resticBackup(into, source))
      })
    return metrics
  },
}
