/** What an egress host knows of a running egress beyond its row in the log. Live; may be a second old. */
export interface EgressStatus {
  readonly name: string
  readonly state: string
  readonly cause: string | null
  /** Finished commits of its branch not yet delivered whole. */
  readonly lagCommits: number
  readonly recordsPerSecond: number
  readonly lastDeliveredId: string | null
}

export interface Egresses {
  status(project: string, name: string): EgressStatus | undefined
}
