// Merging what many workers staged: outputs of 1 KB from 1,000 runs, every run with names from end to end of
// one directory, and by an engine just opened; nothing of the files themselves is read or written.

import { join } from 'node:path'
import { parsePath } from '../../src/model/path.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import type { Bench } from './bench.ts'
import { median, metric } from './bench.ts'
import { noise, withFolder } from './disk.ts'
import { engineIn } from './engine.ts'
import { SMALL_BYTES } from './trees.ts'

const ROUNDS = 5

async function staged(engine: ObjectEngine, runs: number, each: number): Promise<TreeRef[]> {
  const staging: TreeRef[] = []
  for (let run = 0; run < runs; run++) {
    const writer = engine.writer(null)
    let i = 0
    for (const block of noise(each * SMALL_BYTES, `run ${run}`))
      for (let at = 0; at < block.length; at += SMALL_BYTES) {
        const name = String(i++ * runs + run).padStart(8, '0')
        await writer.put(parsePath(`out/${name}.json`), block.subarray(at, at + SMALL_BYTES))
      }
    staging.push(await writer.finish())
  }
  return staging
}

export const bench: Bench = {
  name: 'merge',
  what: 'merging the outputs of many runs, an engine just opened: medians of processor time',
  async run({ small }) {
    const runs = small ? 100 : 1_000
    const each = 1_000
    const files = runs * each
    return withFolder(files * 4000 + 2 ** 28, async (folder) => {
      const into = join(folder, 'varve')
      const refs = await staged((await engineIn(into)).engine, runs, each)
      const cpuMs: number[] = []
      let stored = 0
      for (let round = 0; round < ROUNDS; round++) {
        const { engine, blob } = await engineIn(into)
        const before = process.cpuUsage()
        const { stats } = await engine.merge(null, refs, null)
        const { user, system } = process.cpuUsage(before)
        cpuMs.push((user + system) / 1000)
        stored = blob.putBytes
        if (stats.files !== files) throw new Error(`merged ${stats.files} of ${files}`)
      }
      const rate = (files / median(cpuMs)) * 1000
      return [
        metric(`${files.toLocaleString('en-US')} outputs of ${runs} runs`, rate, '/s of a core', {
          goal: '≥ 500,000',
          met: rate >= 500_000,
        }),
        metric('stored by it, of an output', stored / files, 'bytes', {
          goal: 'no data: ≤ 80',
          met: stored / files <= 80,
        }),
      ]
    })
  },
}
