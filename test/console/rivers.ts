// Believable rivers: the metrics demo, a diamond with a failing gate, and nothing at all.
import type {
  Band,
  Graph,
  GraphNode,
  NodeKind,
  RecentCommit,
  RecentJob,
} from '../../src/api/graph.ts'

/** An id as the log makes them, the same at every run. */
export function fakeId(n: number, atMs: number): string {
  const tail = Math.imul(n + 1, 2654435761) >>> 0
  const more = Math.imul(n + 7, 40503 * 65537) >>> 0
  const time = Math.floor(atMs).toString(16).padStart(12, '0')
  return `${time}7000${(0x8000 | (more & 0x3fff)).toString(16)}${more.toString(16).padStart(8, '0').slice(0, 4)}${tail.toString(16).padStart(8, '0')}`
}

function wave(n: number): number {
  return (Math.sin(n * 12.9898) * 43758.5453) % 1
}

export function bandsOf(options: {
  readonly count: number
  readonly nowMs: number
  readonly everyMs: number
  readonly from: string
  readonly bytes: number
  readonly states?: Readonly<Record<number, string>>
}): readonly Band[] {
  return Array.from({ length: options.count }, (_, i) => {
    const atMs = options.nowMs - i * options.everyMs - 4000
    const change = Math.round(options.bytes * (0.15 + Math.abs(wave(i + options.bytes)) ** 3 * 6))
    return {
      id: fakeId(i + options.bytes, atMs),
      state: options.states?.[i] ?? 'finished',
      origin: options.from.startsWith('feed') ? 'spout' : 'auto',
      atMs,
      files: 24 + options.count - i,
      bytes: options.bytes * 40 + (options.count - i) * options.bytes,
      filesDelta: i % 5 === 4 ? -2 : 1 + (i % 3),
      bytesDelta: change,
      from: options.from.startsWith('feed')
        ? [options.from]
        : [`${options.from}=${fakeId(i, atMs)}`],
    }
  })
}

export function nodeOf(kind: NodeKind, name: string, rest: Partial<GraphNode>): GraphNode {
  return {
    key: `${kind}:${name}`,
    kind,
    name,
    state: 'running',
    line: '',
    cause: null,
    pods: null,
    address: null,
    progress: null,
    count: 0,
    countUnit: kind === 'repo' ? 'commits' : kind === 'pipeline' ? 'jobs' : 'records',
    bands: [],
    ...rest,
  }
}

function recentOf(nodes: readonly GraphNode[]): readonly RecentCommit[] {
  return nodes
    .filter((node) => node.kind === 'repo')
    .flatMap((node) =>
      node.bands.map(({ id, state, origin, atMs, files, bytes }) => ({
        repo: node.name,
        branch: 'master',
        id,
        state,
        origin,
        atMs,
        files,
        bytes,
      })),
    )
    .sort((a, b) => b.atMs - a.atMs)
    .slice(0, 24)
}

function jobsOf(names: readonly string[], nowMs: number): readonly RecentJob[] {
  return Array.from({ length: 18 }, (_, i) => {
    const startedAtMs = nowMs - i * 17_000 - 3000
    return {
      pipeline: names[i % names.length] as string,
      id: fakeId(i + 300, startedAtMs),
      state: i === 0 ? 'running' : 'finished',
      startedAtMs,
      endedAtMs: i === 0 ? null : startedAtMs + 420 + Math.abs(wave(i)) * 4000,
      ran: 3 + (i % 4),
      reused: 996 - i * 4,
      failed: 0,
      cause: null,
    }
  })
}

export function metricsRiver(nowMs: number): Graph {
  const nodes = [
    nodeOf('feed', 'metrics', { line: '412 records/s · lag 0', count: 48_213 }),
    nodeOf('repo', 'metrics', {
      state: 'open',
      line: '31.4 MiB · 47 files',
      count: 128,
      bands: bandsOf({
        count: 24,
        nowMs,
        everyMs: 9000,
        from: 'feed:metrics',
        bytes: 81_000,
        states: { 0: 'open' },
      }),
    }),
    nodeOf('pipeline', 'summary', {
      line: '3 new · 1 changed · 996 reused',
      count: 127,
      progress: 0.62,
    }),
    nodeOf('repo', 'summary', {
      state: 'running',
      line: '1.2 MiB · 12 files',
      count: 127,
      bands: bandsOf({
        count: 21,
        nowMs,
        everyMs: 11_000,
        from: 'metrics@master',
        bytes: 9000,
        states: { 0: 'running', 6: 'superseded' },
      }),
    }),
    nodeOf('pipeline', 'alerts', {
      state: 'finished',
      line: '1 new · 0 changed · 11 reused',
      count: 126,
    }),
    nodeOf('repo', 'alerts', {
      state: 'finished',
      line: '18.3 KiB · 4 files',
      count: 126,
      bands: bandsOf({
        count: 17,
        nowMs,
        everyMs: 12_000,
        from: 'summary@master',
        bytes: 900,
        states: { 9: 'failed' },
      }),
    }),
    nodeOf('egress', 'alerts-file', { line: '3 records/s · lag 0', count: 2904 }),
  ]
  const keys = nodes.map((node) => node.key)
  return {
    project: 'default',
    seq: 1203,
    nodes,
    edges: keys.slice(1).map((to, i) => ({ from: keys[i] as string, to })),
    commits: recentOf(nodes),
    jobs: jobsOf(['summary', 'alerts'], nowMs),
  }
}

export const CAUSE = 'datum /2026-11-22/eu-west.ndjson failed: exit code 1, "KeyError: currency"'
export const REMEDY = 'read varve logs enrich, mend the code, put the pipeline again'

export const NO_NODE = {
  text: 'no node takes the pod: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu',
  remedy: 'add nodes that offer nvidia.com/gpu, or ask for fewer in resources.gpu',
}
export const POOL = 'v-default-9c1d04e2ab'
export const ADDRESS = 'varve-service-alerts-75a79615bae2ecbf4637.varve-work.svc:80'

/** The metrics demo on a cluster: one gate's pods run, the other's cannot. */
export function podsRiver(nowMs: number): Graph {
  const river = metricsRiver(nowMs)
  const changes: Readonly<Record<string, Partial<GraphNode>>> = {
    'pipeline:summary': { pods: { pool: 'v-default-77aa', running: 3, wanted: 4 } },
    'pipeline:alerts': {
      state: 'waiting: no node',
      line: '0 of 4 run · 11 reused',
      progress: 0,
      cause: NO_NODE,
      pods: { pool: POOL, running: 0, wanted: 4 },
      address: ADDRESS,
    },
  }
  return { ...river, nodes: river.nodes.map((node) => ({ ...node, ...changes[node.key] })) }
}

/** Two feeds, a diamond, a gate that fails and one that waits. */
export function diamondRiver(nowMs: number): Graph {
  const repo = (
    name: string,
    from: string,
    bytes: number,
    rest: Partial<GraphNode> = {},
  ): GraphNode =>
    nodeOf('repo', name, {
      state: 'finished',
      line: '4.1 MiB · 88 files',
      count: 64,
      bands: bandsOf({ count: 18, nowMs, everyMs: 30_000, from, bytes }),
      ...rest,
    })
  const nodes = [
    nodeOf('feed', 'orders-kafka', { line: '1,204 records/s · lag 318', count: 1_904_772 }),
    nodeOf('feed', 'rates', { state: 'paused', line: '0 records/s · lag 0', count: 8112 }),
    repo('orders', 'feed:orders-kafka', 120_000, { count: 1042 }),
    repo('rates', 'feed:rates', 3000, {
      count: 3,
      line: '24.0 KiB · 1 file',
      bands: bandsOf({ count: 3, nowMs, everyMs: 3_600_000, from: 'feed:rates', bytes: 3000 }),
    }),
    nodeOf('pipeline', 'enrich', {
      state: 'failed',
      line: '12 new · 0 changed · 2,310 reused',
      count: 311,
      cause: { text: CAUSE, remedy: REMEDY },
    }),
    nodeOf('pipeline', 'train-fraud-model-nightly-with-embeddings', {
      state: 'waiting: gpu',
      line: '',
      count: 18,
      cause: {
        text: 'waiting: gpu · 0 of 1 free',
        remedy: 'wait, or raise the pool: varve pool list',
      },
    }),
    repo('enriched', 'orders@master', 90_000, {
      state: 'failed',
      bands: bandsOf({
        count: 18,
        nowMs,
        everyMs: 30_000,
        from: 'orders@master',
        bytes: 90_000,
        states: { 0: 'failed', 1: 'failed' },
      }),
    }),
    repo('model', 'orders@master', 700_000, {
      count: 6,
      state: 'queued',
      bands: bandsOf({
        count: 6,
        nowMs,
        everyMs: 86_400_000,
        from: 'orders@master',
        bytes: 700_000,
        states: { 0: 'queued' },
      }),
    }),
    nodeOf('pipeline', 'score', {
      state: 'unrunnable',
      line: '0 new · 0 changed · 2,310 reused',
      count: 290,
    }),
    repo('scores', 'enriched@master', 12_000, { state: 'unrunnable' }),
    nodeOf('egress', 'scores-topic', { line: '0 records/s · lag 2 commits', count: 88_120 }),
    nodeOf('egress', 'warehouse', {
      state: 'running',
      line: '12 records/s · lag 0',
      count: 40_018,
    }),
  ]
  const edge = (from: string, to: string): { from: string; to: string } => ({ from, to })
  const failing: RecentJob = {
    pipeline: 'enrich',
    id: fakeId(999, nowMs),
    state: 'failed',
    startedAtMs: nowMs - 70_000,
    endedAtMs: nowMs - 48_000,
    ran: 12,
    reused: 2310,
    failed: 1,
    cause: CAUSE,
  }
  return {
    project: 'default',
    seq: 88_012,
    nodes,
    edges: [
      edge('feed:orders-kafka', 'repo:orders'),
      edge('feed:rates', 'repo:rates'),
      edge('repo:orders', 'pipeline:enrich'),
      edge('repo:rates', 'pipeline:enrich'),
      edge('repo:orders', 'pipeline:train-fraud-model-nightly-with-embeddings'),
      edge('pipeline:enrich', 'repo:enriched'),
      edge('pipeline:train-fraud-model-nightly-with-embeddings', 'repo:model'),
      edge('repo:enriched', 'pipeline:score'),
      edge('repo:model', 'pipeline:score'),
      edge('pipeline:score', 'repo:scores'),
      edge('repo:scores', 'egress:scores-topic'),
      edge('repo:enriched', 'egress:warehouse'),
    ],
    commits: recentOf(nodes),
    jobs: [failing, ...jobsOf(['score', 'enrich'], nowMs).slice(2)],
  }
}

export const EMPTY_RIVER: Graph = {
  project: 'default',
  seq: 0,
  nodes: [],
  edges: [],
  commits: [],
  jobs: [],
}
