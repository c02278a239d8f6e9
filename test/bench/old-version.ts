// Looking a path up at the first of many commits and at the newest: the commit by its id, the entry, its
// bytes. Cold: a process that has just opened the store; warm: one that has looked already.

import { join } from 'node:path'
import type { Commit } from '../../src/model/entities.ts'
import type { Bench, Metric } from './bench.ts'
import { median, metric } from './bench.ts'
import { withFolder } from './disk.ts'
import { git, gitHistory } from './git.ts'
import { peers } from './peers.ts'
import { Stack } from './stack.ts'
import { otherContent, pathOf, putSmallFiles } from './trees.ts'

const FILES = 10_000
const COLD_ROUNDS = 25
const WARM_LOOKUPS = 1_000

async function lookUp(stack: Stack, id: Commit['id'], i: number): Promise<void> {
  const { root } = await stack.resolve('repo', id)
  let bytes = 0
  for await (const piece of stack.objects.read(root, pathOf(i))) bytes += piece.length
  if (bytes === 0) throw new Error('nothing came back')
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

export const bench: Bench = {
  name: 'old-version',
  what: `a file read at the first commit and at the head, ${FILES.toLocaleString('en-US')} files: medians`,
  async run({ small }) {
    const commits = small ? 1_000 : 10_000
    return withFolder(2 ** 32, async (folder) => {
      const found = await peers('git')
      const into = join(folder, 'varve')
      const stack = await Stack.open(into)
      await stack.createRepo('repo')
      const first = await stack.commit('repo', (writer) => putSmallFiles(writer, FILES))
      const other = otherContent()
      let head = first
      for (let n = 1; n < commits; n++)
        head = await stack.commit('repo', async (writer) => {
          await writer.put(pathOf((n * 7919) % FILES), other())
        })
      await stack.close()
      const cold = { first: [] as number[], head: [] as number[] }
      const warm = { first: [] as number[], head: [] as number[] }
      const which = [
        ['first', first.id],
        ['head', head.id],
      ] as const
      for (let round = 0; round < COLD_ROUNDS; round++)
        for (const [name, id] of round % 2 ? which : which.toReversed()) {
          const fresh = await Stack.open(into)
          cold[name].push(await timed(() => lookUp(fresh, id, round * 331)))
          await fresh.close()
        }
      const again = await Stack.open(into)
      for (let n = 0; n < 2 * WARM_LOOKUPS; n++)
        for (const [name, id] of n % 2 ? which : which.toReversed()) {
          const ms = await timed(() => lookUp(again, id, (n * 331) % FILES))
          if (n >= WARM_LOOKUPS) warm[name].push(ms)
        }
      await again.close()
      const metrics: Metric[] = []
      for (const [words, of] of [
        ['cold', cold],
        ['warm', warm],
      ] as const) {
        const [old, now] = [median(of.first), median(of.head)]
        metrics.push(
          metric(`commit 1 of ${commits.toLocaleString('en-US')}, ${words}`, old, 'ms', {
            goal: '≤ 1.2 × the head',
            met: old <= 1.2 * now,
            peer: { name: 'the head', value: now },
          }),
        )
      }
      if (found.has('git')) {
        const repo = join(folder, 'git')
        const changes = Array.from({ length: commits - 1 }, (_, n) => ({
          changed: [((n + 1) * 7919) % FILES],
        }))
        await gitHistory(repo, [{ files: FILES }, ...changes])
        const ms: number[] = []
        for (let round = 0; round < 9; round++)
          ms.push(await git(repo, ['cat-file', 'blob', `master~${commits - 1}:${pathOf(round)}`]))
        metrics.push(metric('git at commit 1, its start included', median(ms), 'ms'))
      }
      return metrics
    })
  },
}
