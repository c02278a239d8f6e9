// What the page knows, as a fold of the stream's events. Pure: the same events give the same page.
//
// - A node event replaces its node; a commit or job event replaces its row in place or adds one on
//   top. An event met twice (after a resume) changes nothing.
// - A pulse is how motion starts: it counts up when a node's number rose, at most once in
//   PULSE_REST_MS, so that a busy feed breathes instead of flickering.

import type { Graph, GraphEvent, GraphNode, RecentCommit, RecentJob } from '../api/graph.ts'

export const ROWS = 50
const PULSE_REST_MS = 900

export interface Pulse {
  readonly n: number
  readonly atMs: number
}

export interface Link {
  readonly state: 'connecting' | 'live' | 'lost' | 'refused'
  /** What went wrong and what to try; null while nothing is wrong. */
  readonly problem: { readonly text: string; readonly remedy: string; readonly code: string } | null
}

export interface RiverState {
  readonly graph: Graph | null
  readonly link: Link
  /** By node key. */
  readonly pulses: Readonly<Record<string, Pulse>>
}

export type RiverAction =
  | { readonly type: 'event'; readonly event: GraphEvent; readonly atMs: number }
  | { readonly type: 'link'; readonly link: Link }
  | { readonly type: 'project' }

export const START: RiverState = {
  graph: null,
  link: { state: 'connecting', problem: null },
  pulses: {},
}

export function reduceRiver(state: RiverState, action: RiverAction): RiverState {
  if (action.type === 'link') return { ...state, link: action.link }
  if (action.type === 'project') return START
  return applyEvent(state, action.event, action.atMs)
}

function applyEvent(state: RiverState, event: GraphEvent, atMs: number): RiverState {
  const graph = state.graph
  if (event.type === 'graph')
    return { ...state, graph: event.graph, pulses: pulsed(state, event.graph.nodes, atMs) }
  if (graph === null) return state
  switch (event.type) {
    case 'node': {
      if (!graph.nodes.some((node) => node.key === event.node.key)) return state
      const nodes = graph.nodes.map((node) => (node.key === event.node.key ? event.node : node))
      return { ...state, graph: { ...graph, nodes }, pulses: pulsed(state, [event.node], atMs) }
    }
    case 'commit':
      return {
        ...state,
        graph: { ...graph, commits: upsert(graph.commits, event.commit, commitKey) },
      }
    case 'job':
      return { ...state, graph: { ...graph, jobs: upsert(graph.jobs, event.job, jobKey) } }
  }
}

/** One id names commits in many repos: a row is known by all three. */
export function commitKey(commit: RecentCommit): string {
  return `${commit.repo}@${commit.branch}=${commit.id}`
}

export function jobKey(job: RecentJob): string {
  return `${job.pipeline}=${job.id}`
}

function upsert<Row>(rows: readonly Row[], row: Row, key: (row: Row) => string): readonly Row[] {
  const at = rows.findIndex((other) => key(other) === key(row))
  if (at >= 0) return rows.with(at, row)
  return [row, ...rows].slice(0, ROWS)
}

function pulsed(
  state: RiverState,
  nodes: readonly GraphNode[],
  atMs: number,
): RiverState['pulses'] {
  if (state.graph === null) return state.pulses
  const before = new Map(state.graph.nodes.map((node) => [node.key, node.count]))
  let pulses = state.pulses
  for (const node of nodes) {
    const old = before.get(node.key)
    const last = pulses[node.key]
    if (old === undefined || node.count <= old) continue
    if (last !== undefined && atMs - last.atMs < PULSE_REST_MS) continue
    pulses = { ...pulses, [node.key]: { n: (last?.n ?? 0) + 1, atMs } }
  }
  return pulses
}
