// The port that keeps workers alive. Embedded: loops in this process; cluster: Deployments.

export interface PoolSpec {
  readonly id: string
  /** Workers wanted now; 0 when idle. */
  readonly size: number
}

export interface PoolStatus {
  readonly id: string
  readonly running: number
  /** Why it is not at its size, if it is not. */
  readonly cause: string | undefined
}

export interface Pools {
  /** Makes it so; calling again with the same spec changes nothing. */
  apply(spec: PoolSpec): Promise<void>
  status(): readonly PoolStatus[]
  remove(id: string): Promise<void>
  close(): Promise<void>
}
