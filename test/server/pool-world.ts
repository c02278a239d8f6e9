// A server with one pipeline and two commits before it: the first has a job that runs, the second is
// queued behind it. What its pool says is the test's.

import type { Commit } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'
import { parsePath } from '../../src/model/path.ts'
import type { PoolStatus } from '../../src/model/pool-status.ts'
import type { DatumView } from '../../src/pipelines/service.ts'
import { makeTreeRef } from '../../src/model/tree-ref.ts'
import { NO_PIPELINES, makeWorld } from './world.ts'
import type { World } from './world.ts'

export const NO_NODE = {
  reason: 'Unschedulable',
  cause: 'no node takes the pod: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu',
  remedy: 'add nodes that offer nvidia.com/gpu',
} as const

export const WAITING: PoolStatus = {
  pool: 'v-default-1a2b',
  project: 'default',
  pipelines: ['count'],
  image: 'registry/count:1',
  state: 'waiting',
  running: 0,
  replicas: 2,
  wanted: 4,
  cause: NO_NODE,
  address: null,
  change: 'scaled from 0 to 2: 4 chunks of work wait',
  pods: [
    { name: 'v-default-1a2b-x', node: null, state: 'waiting', busy: false, cause: NO_NODE },
    {
      name: 'v-default-1a2b-y',
      node: 'node-1',
      state: 'starting',
      busy: false,
      cause: { reason: 'Starting', cause: 'starting since 2 s', remedy: 'wait a moment' },
    },
  ],
  ends: [
    {
      pod: 'v-default-1a2b-w',
      cause: {
        reason: 'OutOfMemory',
        cause: 'container "user" was killed at its memory limit of 64Mi',
        remedy: 'raise resources.memory',
      },
      atMs: 1_700_000_000_000,
    },
  ],
}

export interface PoolWorld extends World {
  readonly board: { pools: readonly PoolStatus[]; reported: boolean }
  /** Output commits of `count`, the oldest first. */
  readonly outputs: readonly Id[]
}

const SPEC = {
  pipeline: { name: 'count' },
  input: { pfs: { repo: 'in', branch: 'master', glob: '/*' } },
  transform: { cmd: ['count'], image: 'registry/count:1' },
}

const QUEUED: Omit<DatumView, 'job'> = {
  id: '5'.repeat(64),
  key: '6'.repeat(64),
  state: 'queued',
  why: 'new',
  inputs: [],
  attempts: 0,
  exit: null,
  lastLines: [],
  times: null,
}

export async function poolWorld(): Promise<PoolWorld> {
  const board = { pools: [WAITING] as readonly PoolStatus[], reported: true }
  const world = await makeWorld({
    pipelines: {
      ...NO_PIPELINES,
      async *datums(_project, _pipeline, job) {
        yield { ...QUEUED, job }
        yield { ...QUEUED, job, state: 'running' }
      },
      explainDatum: (_project, _pipeline, job) => Promise.resolve({ ...QUEUED, job }),
    },
    pools: {
      all: () => board.pools,
      get reported() {
        return board.reported
      },
    },
    boundOf: () => ({ pods: 8, costPerHour: 3.2 }),
  })
  const { versions, ids } = world
  const request = () => ({ id: ids(), principal: 'user:test' })
  await versions.propose('default', [{ op: 'repo.create', name: 'in' }], request())
  const bring = (text: string): Promise<Commit> =>
    versions.commitFiles(
      'default',
      { repo: 'in', branch: 'master' },
      (writer) => writer.put(parsePath('a'), new TextEncoder().encode(text)).then(() => undefined),
      request(),
    )
  const pipeline = {
    name: 'count',
    inputs: [{ repo: 'in', branch: 'master' }],
    outputBranch: 'master',
    backlog: 'every' as const,
    spec: SPEC,
  }
  await versions.propose('default', [{ op: 'pipeline.put', pipeline }], request())
  const first = await bring('1')
  const second = await bring('2')
  const commit = { repo: 'count', branch: 'master', id: first.id }
  const plan = makeTreeRef('a'.repeat(64), { pack: 'p', offset: 0, length: 1 })
  const planned = { run: 4, reuse: 996, total: 1_000 }
  const codeKey = 'b'.repeat(64)
  await versions.propose(
    'default',
    [{ op: 'job.started', commit, plan, chunks: 4, codeKey, planned }],
    request(),
  )
  return { ...world, board, outputs: [first.id, second.id] }
}
