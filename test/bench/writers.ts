// 64 writers commit to one branch, each a file of its own under a path of its own, as fast as they are
// answered; then the history is read back: one line from the head to the first commit, every commit in
// it once, every file there. Beside it one writer alone, and as many with a branch each: what the order of
// one branch costs.

import { join } from 'node:path'
import type { Commit } from '../../src/model/entities.ts'
import { parsePath } from '../../src/model/path.ts'
import type { Bench } from './bench.ts'
import { metric, quantile } from './bench.ts'
import { withFolder } from './disk.ts'
import { Stack } from './stack.ts'
import { otherContent } from './trees.ts'

const WRITERS = 64

interface Ran {
  readonly perSecond: number
  readonly ms: readonly number[]
  readonly refused: number
}

/** `repos`: of each its branch `master`, the writers in turn. */
async function write(
  stack: Stack,
  repos: readonly string[],
  writers: number,
  commits: number,
): Promise<Ran> {
  const made = new Map<string, Set<string>>()
  for (const repo of repos) {
    await stack.createRepo(repo)
    made.set(repo, new Set())
  }
  const other = otherContent()
  const ms: number[] = []
  let refused = 0
  let next = 0
  const start = performance.now()
  const work = async (writer: number): Promise<void> => {
    const repo = repos[writer % repos.length] as string
    while (next < commits) {
      const n = next++
      const content = other()
      const before = performance.now()
      try {
        const commit = await stack.commit(repo, async (tree) => {
          await tree.put(parsePath(`w${writer}/f${n}`), content)
        })
        made.get(repo)?.add(commit.id)
      } catch (error) {
        refused++
        if (refused === 1) console.error(error)
      }
      ms.push(performance.now() - before)
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => work(writer)))
  const perSecond = ((commits - refused) / (performance.now() - start)) * 1000
  for (const [repo, ids] of made) await checkHistory(stack, repo, ids)
  return { perSecond, ms, refused }
}

/** @throws Error where a commit is lost, comes twice or stands beside the line */
async function checkHistory(stack: Stack, repo: string, ids: ReadonlySet<string>): Promise<void> {
  const rows = new Map<string, Commit>()
  for await (const commit of stack.versions.commits('default', repo)) rows.set(commit.id, commit)
  const branch = await stack.versions.branch('default', { repo, branch: 'master' })
  const head = branch?.head?.id ?? null
  const seen = new Set<string>()
  for (let id: string | null = head; id !== null; id = rows.get(id)?.parent ?? null) {
    if (seen.has(id)) throw new Error(`${id} comes twice`)
    seen.add(id)
  }
  for (const id of ids) if (!seen.has(id)) throw new Error(`${id} is not in the history`)
  if (seen.size !== ids.size) throw new Error(`${seen.size} commits for ${ids.size} writes`)
  const root = rows.get(head ?? '')?.root ?? null
  const { files } = await stack.objects.stats(root)
  if (files !== ids.size) throw new Error(`${files} files of ${ids.size}`)
}

export const bench: Bench = {
  name: 'writers',
  what: `${WRITERS} writers on one branch, disjoint paths, in process; the history is checked`,
  async run({ small }) {
    const commits = small ? 1_000 : 10_000
    return withFolder(2 ** 32, async (folder) => {
      const stack = await Stack.open(join(folder, 'varve'))
      await write(stack, ['warm'], WRITERS, 200)
      const alone = await write(stack, ['alone'], 1, Math.min(commits / 5, 500))
      const own = Array.from({ length: WRITERS }, (_, writer) => `own-${writer}`)
      const apart = await write(stack, own, WRITERS, commits / 2)
      const many = await write(stack, ['many'], WRITERS, commits)
      await stack.close()
      return [
        metric(`${commits.toLocaleString('en-US')} commits`, many.perSecond, '/s', {
          goal: '≥ 200/s',
          met: many.perSecond >= 200,
          peer: { name: 'a branch each', value: apart.perSecond },
        }),
        metric('one writer alone', alone.perSecond, '/s'),
        metric('refused', many.refused, 'commits', { goal: '0', met: many.refused === 0 }),
        metric('p50', quantile(many.ms, 0.5), 'ms'),
        metric('p99', quantile(many.ms, 0.99), 'ms'),
      ]
    })
  },
}
