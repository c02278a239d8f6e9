// What differs between two trees of many files, engine alone: 10 and 1,000 changes, read the first time
// (nothing in the caches of the engine) and again; equal trees; beside it git.

import { join } from 'node:path'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import type { Bench, Metric } from './bench.ts'
import { median, metric } from './bench.ts'
import { withFolder } from './disk.ts'
import { engineIn } from './engine.ts'
import { git, gitHistory } from './git.ts'
import { peers } from './peers.ts'
import { otherContent, pathOf, putSmallFiles, spread, timeAll } from './trees.ts'

const ROUNDS = 7
const CHANGES = [10, 1_000] as const

async function changed(
  engine: ObjectEngine,
  base: TreeRef,
  files: readonly number[],
): Promise<TreeRef> {
  const writer = engine.writer(base)
  const other = otherContent()
  for (const i of files) await writer.put(pathOf(i), other())
  return (await writer.finishOnto(base)).root
}

export const bench: Bench = {
  name: 'diff',
  what: 'changes between two trees of 1 KB files, 1,000 a directory: medians',
  async run({ small }) {
    const files = small ? 50_000 : 1_000_000
    return withFolder(files * 4000 + 2 ** 28, async (folder) => {
      const found = await peers('git')
      const into = join(folder, 'varve')
      const { engine } = await engineIn(into)
      const writer = engine.writer(null)
      await putSmallFiles(writer, files)
      const { root } = await writer.finishOnto(null)
      const words = files.toLocaleString('en-US')
      const metrics: Metric[] = []
      for (const count of CHANGES) {
        const now = await changed(engine, root, spread(count, files))
        const cold: number[] = []
        const warm: number[] = []
        let gets = 0
        for (let round = 0; round < ROUNDS; round++) {
          const { engine: fresh, blob } = await engineIn(into)
          cold.push(await timeAll(fresh.diff(root, now), count))
          gets = blob.gets
          warm.push(await timeAll(fresh.diff(root, now), count))
        }
        const limitMs = count === 10 ? 40 : 1_000
        const ms = median(cold)
        metrics.push(
          metric(`${count} of ${words}, first time`, ms, 'ms', {
            goal: `≤ ${limitMs} ms`,
            met: ms <= limitMs,
          }),
          metric(`${count} of ${words}, reads of the store`, gets, 'reads'),
          metric(`${count} of ${words}, again`, median(warm), 'ms'),
        )
      }
      // The same content by another way: other packs, the same root.
      const backwards = engine.writer(null)
      const half = engine.writer(null)
      await putSmallFiles(half, files / 2)
      const { root: first } = await half.finishOnto(null)
      await putSmallFiles(backwards, files)
      const { root: again } = await backwards.finishOnto(first)
      const { engine: fresh, blob } = await engineIn(into)
      const before = blob.gets
      const ms = await timeAll(fresh.diff(root, again), 0)
      const reads = blob.gets - before
      metrics.push(
        metric('equal trees of different origin', ms, 'ms', { goal: '0 reads', met: reads === 0 }),
      )
      if (found.has('git')) {
        const repo = join(folder, 'git')
        await gitHistory(repo, [
          { files },
          { changed: spread(10, files) },
          { changed: spread(1_000, files) },
        ])
        for (const [count, from, to] of [
          [10, 'master~2', 'master~1'],
          [1_000, 'master~1', 'master'],
        ] as const) {
          const took: number[] = []
          for (let round = 0; round < ROUNDS; round++)
            took.push(await git(repo, ['diff', '--name-only', from, to]))
          metrics.push(metric(`git, ${count} of ${words}, its start included`, median(took), 'ms'))
        }
      }
      return metrics
    })
  },
}
