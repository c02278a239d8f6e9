/** What a spout host knows of a running spout beyond its row in the log. Live; may be a second old. */
export interface SpoutStatus {
  readonly name: string
  /** `running`, `paused`, or `waiting: <cause>`. */
  readonly state: string
  /** What stands in its way and what to try, if anything. */
  readonly cause: string | null
  /** By source part: next position to read as committed, the source's end if it tells, what is in hand. */
  readonly parts: Readonly<
    Record<string, { position: string | null; end: string | null; lagRecords: number | null }>
  >
  readonly lagRecords: number | null
  readonly openRecords: number
  readonly openBytes: number
  /** Why and when the next commit comes: `age 5 s in 1.2 s`. */
  readonly nextFlush: string | null
  readonly recordsPerSecond: number
  readonly lastCommitId: string | null
}

export interface Spouts {
  status(project: string, name: string): SpoutStatus | undefined
}
