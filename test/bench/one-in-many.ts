// Committing one changed file into ever larger trees, the whole embedded product with its log, until
// the commit is acknowledged; beside it git, and the least a durable commit can cost: one fdatasync.

import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench, Metric } from './bench.ts'
import { median, metric, quantile } from './bench.ts'
import { bytesBelow, withFolder, writeSmallFiles } from './disk.ts'
import { git } from './git.ts'
import { peers } from './peers.ts'
import { Stack } from './stack.ts'
import { otherContent, pathOf, PER_DIR, putSmallFiles, SMALL_BYTES, spread } from './trees.ts'

const COMMITS = 200

interface Measured {
  readonly p50: number
  readonly p99: number
  readonly newBytes: number
}

async function measure(folder: string, files: number): Promise<Measured> {
  const stack = await Stack.open(folder)
  await stack.createRepo('repo')
  await stack.commit('repo', (writer) => putSmallFiles(writer, files))
  const other = otherContent()
  const ms: number[] = []
  const storedBefore = stack.blob.putBytes
  for (const i of spread(COMMITS, files)) {
    const content = other()
    const start = performance.now()
    await stack.commit('repo', async (writer) => {
      await writer.put(pathOf(i), content)
    })
    ms.push(performance.now() - start)
  }
  const newBytes = (stack.blob.putBytes - storedBefore) / COMMITS
  await stack.close()
  return { p50: quantile(ms, 0.5), p99: quantile(ms, 0.99), newBytes }
}

async function rawAppend(folder: string): Promise<number> {
  const file = await open(join(folder, 'raw'), 'a')
  const bytes = new Uint8Array(64 * 1024)
  const ms: number[] = []
  for (let i = 0; i < COMMITS; i++) {
    const start = performance.now()
    await file.write(bytes)
    await file.datasync()
    ms.push(performance.now() - start)
  }
  await file.close()
  return median(ms)
}

async function gitCommits(folder: string, files: number): Promise<number> {
  await mkdir(folder, { recursive: true })
  await git(folder, ['init', '-q', folder])
  await writeSmallFiles(folder, files, PER_DIR, SMALL_BYTES)
  const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@example.com']
  const durable = ['-c', 'core.fsync=committed', '-c', 'gc.auto=0']
  const commit = [...who, ...durable, 'commit', '-q', '-m', 'bench']
  await git(folder, ['add', '.'])
  await git(folder, commit)
  const other = otherContent()
  const ms: number[] = []
  for (const i of spread(5, files)) {
    await writeFile(join(folder, pathOf(i)), other())
    const added = await git(folder, ['add', pathOf(i)])
    ms.push(added + (await git(folder, commit)))
  }
  return median(ms)
}

export const bench: Bench = {
  name: 'one-in-many',
  what: `one changed file of 1 KB committed into trees of 1,000 files a directory: ${COMMITS} commits each`,
  async run({ small }) {
    const sizes = small ? [1_000, 10_000, 50_000] : [1_000, 10_000, 100_000, 1_000_000]
    const largest = sizes.at(-1) ?? 0
    return withFolder(largest * 6000 + 2 ** 28, async (folder) => {
      const found = await peers('git')
      const raw = { name: 'append 64 KB + fdatasync', value: await rawAppend(folder) }
      await measure(join(folder, 'warm-up'), 1_000)
      const metrics: Metric[] = []
      let before: { files: number; p50: number } | undefined
      let growth = 0
      for (const files of sizes) {
        const { p50, p99, newBytes } = await measure(join(folder, `varve-${files}`), files)
        const last = files === largest
        const words = `${files.toLocaleString('en-US')} files`
        metrics.push(
          metric(`${words}: p50`, p50, 'ms', {
            peer: raw,
            ...(last ? { goal: '≤ 10 ms', met: p50 <= 10 } : {}),
          }),
          metric(`${words}: p99`, p99, 'ms'),
          metric(
            `${words}: new bytes`,
            newBytes / 1000,
            'KB',
            last ? { goal: '≤ 150 KB', met: newBytes <= 150_000 } : {},
          ),
        )
        if (before) {
          const decades = Math.log10(files / before.files)
          growth = Math.max(growth, (p50 / before.p50) ** (1 / decades))
        }
        before = { files, p50 }
      }
      const goal = { goal: '≤ 1.5 ×', met: growth <= 1.5 }
      metrics.push(metric('growth for ten times the files, at most', growth, '×', goal))
      const stored = (await bytesBelow(join(folder, `varve-${largest}`, 'blobs'))) / largest
      metrics.push(metric('stored for each file', stored, 'bytes'))
      if (found.has('git')) {
        const ms = await gitCommits(join(folder, 'git'), largest)
        const ours = before?.p50 ?? NaN
        metrics.push(
          metric(`${largest.toLocaleString('en-US')} files, against git`, ours, 'ms', {
            peer: { name: 'git add + commit', value: ms },
          }),
        )
      }
      return metrics
    })
  },
}
