// What an output commit without a job waits for, from the commits alone.
import { expect, test } from 'vitest'
import type { Commit, CommitKey } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'
import { whyNoJob, whyQueued } from '../../src/pipelines/waiting.ts'

const key = (repo: string, n: number): CommitKey => ({
  repo,
  branch: 'master',
  id: n.toString().padStart(32, '0') as Id,
})

function commit(of: CommitKey, state: Commit['state'], rest: Partial<Commit> = {}): Commit {
  return {
    ...of,
    origin: 'auto',
    state,
    parent: null,
    root: null,
    stats: null,
    provenance: [],
    sources: {},
    cause: null,
    feed: null,
    note: null,
    openedSeq: Number(of.id),
    openedAtMs: 0,
    endedSeq: null,
    endedAtMs: null,
    ...rest,
  }
}

/** Of commits given oldest first. */
const versions = (...all: readonly Commit[]): Parameters<typeof whyQueued>[0] => ({
  commit: (_project, { repo, id }) =>
    Promise.resolve(all.find((one) => one.repo === repo && one.id === id)),
  async *commits(_project, repo) {
    for (const one of all.toReversed()) if (one.repo === repo) yield one
  },
})

test('an input that is not finished comes first, then the front of the queue, then the plan', async () => {
  const made = (n: number, state: Commit['state']): Commit =>
    commit(key('out', n), state, { provenance: [key('in', n)] })
  const open = commit(key('in', 5), 'running')
  const all = versions(
    commit(key('in', 1), 'finished'),
    commit(key('in', 2), 'finished'),
    made(1, 'finished'),
    made(2, 'queued'),
    made(3, 'superseded'),
    made(4, 'queued'),
    open,
    made(5, 'queued'),
  )
  const why = (n: number): Promise<string | undefined> => whyQueued(all, 'p', made(n, 'queued'))
  expect(await why(5)).toBe(`its input in@master=${open.id} is running, not finished`)
  // Behind the oldest that has not ended, not behind what ended before it or in between.
  expect(await why(4)).toBe(`it is queued behind out@master=${key('out', 2).id}, which is queued`)
  expect(await why(2)).toBe('it is to be planned')
  expect(await whyQueued(all, 'p', made(1, 'finished'))).toBe(undefined)

  const means = (n: number) => (one: Commit) => one.id === key('out', n).id
  expect(await whyNoJob(all, 'p', key('out', 0), means(2))).toBe(
    `commit "out@master=${key('out', 2).id}" has no job yet: it is to be planned`,
  )
  expect(await whyNoJob(all, 'p', key('out', 0), means(1))).toBe(undefined)
  expect(await whyNoJob(all, 'p', key('out', 0), means(9))).toBe(undefined)
})
