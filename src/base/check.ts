// What an examination of a dependency found: for `varve doctor`, and for a start that cannot go on.

export interface Check {
  /** `Kafka at 10.0.0.5:9092`, `topic "varve.log.v1"`, `keyspace "varve"` … */
  readonly what: string
  readonly state: 'ok' | 'warning' | 'failed'
  /** What was found, in a few words; for a failure also the cause. */
  readonly found: string
  /** What to do about it: the command, setting or permission. There unless the state is ok. */
  readonly remedy?: string
}
