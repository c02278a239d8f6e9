// Listing: 1,000 entries out of many, as a directory of their own and as a page of one huge directory,
// with nothing in the engine's caches; and walking all; beside it git.

import { join } from 'node:path'
import type { Path } from '../../src/model/path.ts'
import { parsePath } from '../../src/model/path.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import type { TreeWriter } from '../../src/objects/objects.ts'
import type { Bench } from './bench.ts'
import { median, metric } from './bench.ts'
import { withFolder } from './disk.ts'
import { engineIn } from './engine.ts'
import { git, gitHistory } from './git.ts'
import { peers } from './peers.ts'
import { PER_DIR, putSmallFiles, timeAll } from './trees.ts'

const ROUNDS = 9
const nameOf = (i: number): string => `f${String(i).padStart(8, '0')}`

async function built(
  engine: ObjectEngine,
  write: (writer: TreeWriter) => Promise<void>,
): Promise<TreeRef> {
  const writer = engine.writer(null)
  await write(writer)
  return (await writer.finishOnto(null)).root
}

/** Contents that lie in the directory itself: here they do not matter. */
async function putFlat(writer: TreeWriter, files: number): Promise<void> {
  const bytes = new Uint8Array(40)
  for (let i = 0; i < files; i++) {
    new DataView(bytes.buffer).setUint32(0, i)
    await writer.put(parsePath(`flat/${nameOf(i)}`), bytes)
  }
}

export const bench: Bench = {
  name: 'list',
  what: 'listing 1,000 entries and walking all, an engine just opened: medians',
  async run({ small }) {
    const files = small ? 50_000 : 1_000_000
    return withFolder(files * 4000 + 2 ** 28, async (folder) => {
      const found = await peers('git')
      const into = join(folder, 'varve')
      const { engine } = await engineIn(into)
      const nested = await built(engine, (writer) => putSmallFiles(writer, files))
      const flat = await built(engine, (writer) => putFlat(writer, files))
      const ms = {
        dir: [] as number[],
        page: [] as number[],
        walk: [] as number[],
        flat: [] as number[],
      }
      const after = nameOf(files / 2)
      for (let round = 0; round < ROUNDS; round++) {
        const dir = `d${String((round * 7) % (files / PER_DIR)).padStart(5, '0')}` as Path
        const fresh = async (): Promise<ObjectEngine> => (await engineIn(into)).engine
        ms.dir.push(await timeAll((await fresh()).list(nested, dir), PER_DIR))
        const page = { after, limit: 1_000 }
        ms.page.push(await timeAll((await fresh()).list(flat, 'flat' as Path, page), 1_000))
        ms.walk.push(await timeAll((await fresh()).walk(nested), files))
        ms.flat.push(await timeAll((await fresh()).walk(flat), files))
      }
      const rate = (all: readonly number[]): number => (files / median(all)) * 1000
      const five = (value: number): { goal: string; met: boolean } => ({
        goal: '≤ 5 ms',
        met: value <= 5,
      })
      const million = (value: number): { goal: string; met: boolean } => ({
        goal: '≥ 1,000,000/s',
        met: value >= 1e6,
      })
      const words = files.toLocaleString('en-US')
      const metrics = [
        metric(`a directory of 1,000 of ${words}`, median(ms.dir), 'ms', five(median(ms.dir))),
        metric(`1,000 in the middle of ${words}`, median(ms.page), 'ms', five(median(ms.page))),
        metric('walk, 1,000 a directory', rate(ms.walk), 'entries/s', million(rate(ms.walk))),
        metric('walk, one directory', rate(ms.flat), 'entries/s', million(rate(ms.flat))),
      ]
      if (found.has('git')) {
        const repo = join(folder, 'git')
        await gitHistory(repo, [{ files }])
        const took = { dir: [] as number[], all: [] as number[] }
        for (let round = 0; round < ROUNDS; round++) {
          took.dir.push(await git(repo, ['ls-tree', '--name-only', 'master:d00003']))
          took.all.push(await git(repo, ['ls-tree', '-r', '--name-only', 'master']))
        }
        metrics.push(
          metric('git: a directory of 1,000, its start included', median(took.dir), 'ms'),
          metric('git: all of them', rate(took.all), 'entries/s'),
        )
      }
      return metrics
    })
  },
}
