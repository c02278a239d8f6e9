// The river: what the page at "/" draws. One answer, then kept fresh by server-sent events of the
// same node values (event `node`), so that counts move as entries arrive and nothing polls.

export type NodeKind = 'feed' | 'repo' | 'pipeline' | 'egress'

export interface Band {
  readonly id: string
  readonly state: string
  readonly origin: 'user' | 'auto' | 'spout'
  readonly atMs: number
  readonly files: number
  readonly bytes: number
  /** Files more or fewer than the commit before it. */
  readonly filesDelta: number
  readonly bytesDelta: number
  /** `repo@branch=id` of its direct inputs, or the feed it came from. */
  readonly from: readonly string[]
}

export interface GraphNode {
  /** `feed:name`, `repo:name`, `pipeline:name`, `egress:name`. */
  readonly key: string
  readonly kind: NodeKind
  readonly name: string
  /** A state word of the glossary of states. */
  readonly state: string
  /** The one line of truth: `3 new · 1 changed · 996 reused`, `412 records/s · lag 0`. */
  readonly line: string
  /** Why it does not run and what to try next; null when nothing is wrong. */
  readonly cause: { readonly text: string; readonly remedy: string } | null
  /** Of a pipeline that runs in pods: how many run, how many the work would keep busy. */
  readonly pods: {
    readonly pool: string | null
    readonly running: number
    readonly wanted: number
  } | null
  /** Of a pipeline that serves a port: where it answers. */
  readonly address: string | null
  /** 0 … 1 while work runs. */
  readonly progress: number | null
  /** Commits in all (repo), jobs (pipeline), records (feed, egress): the number that moves. */
  readonly count: number
  readonly countUnit: 'commits' | 'jobs' | 'records'
  /** A repo's newest 24 commits, newest first. */
  readonly bands: readonly Band[]
}

export interface GraphEdge {
  readonly from: string
  readonly to: string
}

export interface RecentCommit {
  readonly repo: string
  readonly branch: string
  readonly id: string
  readonly state: string
  readonly origin: string
  readonly atMs: number
  readonly files: number
  readonly bytes: number
}

export interface RecentJob {
  readonly pipeline: string
  readonly id: string
  readonly state: string
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  readonly ran: number
  readonly reused: number
  readonly failed: number
  readonly cause: string | null
}

export interface Graph {
  readonly project: string
  /** The entry this stands at; give it as Last-Event-ID to the stream. */
  readonly seq: number
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
  readonly commits: readonly RecentCommit[]
  readonly jobs: readonly RecentJob[]
}

/** Messages of GET /api/v1/projects/{p}/graph/live (server-sent events; `id` is the seq where there is one). */
export type GraphEvent =
  | { readonly type: 'graph'; readonly graph: Graph } // first message, and whenever nodes or edges come or go
  | { readonly type: 'node'; readonly node: GraphNode }
  | { readonly type: 'commit'; readonly commit: RecentCommit }
  | { readonly type: 'job'; readonly job: RecentJob }
