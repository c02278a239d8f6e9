// What is known of a pool of workers and why it is not what the work asks for: shown by API, command
// line and page alike.

/** Why something does not run: one word for programs, two sentences for people. */
export interface Hindrance {
  /** `Unschedulable`, `ImageMissing`, `BudgetReached`, … */
  readonly reason: string
  /** What is in the way, without a final period. */
  readonly cause: string
  /** What to try next. */
  readonly remedy: string
}

export interface PodStatus {
  readonly name: string
  readonly node: string | null
  readonly state: 'waiting' | 'starting' | 'running' | 'failing' | 'ended' | 'leaving'
  /** It holds work. */
  readonly busy: boolean
  readonly cause: Hindrance | null
}

/** A pod that went otherwise than by being asked to. */
export interface PodEnd {
  readonly pod: string
  readonly cause: Hindrance
  readonly atMs: number
}

export interface PoolStatus {
  readonly pool: string
  readonly project: string
  /** Names of the pipelines whose work it does now. */
  readonly pipelines: readonly string[]
  /** What the code runs in; null: as a process beside its worker. */
  readonly image: string | null
  readonly state: 'idle' | 'waiting' | 'starting' | 'running' | 'partly' | 'unknown'
  /** Workers that run. */
  readonly running: number
  /** Workers asked for. */
  readonly replicas: number
  /** Workers the work would keep busy, caps of project and cluster not applied. */
  readonly wanted: number
  readonly cause: Hindrance | null
  /** Where the code of a service answers, `name.namespace.svc:80`; null: it is of none, or not there yet. */
  readonly address: string | null
  /** Why it was last made, changed or taken away. */
  readonly change: string | null
  readonly pods: readonly PodStatus[]
  /** The newest last; at most 20. */
  readonly ends: readonly PodEnd[]
}
