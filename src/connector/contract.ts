// What a connector is. A source brings records of a feed with their positions; a sink takes records
// out. The host owns batching, commits, retries and the policy for errors, so that a connector is
// only about its system.
//
// A *part* is one ordered piece of a feed (`orders/3`: a topic's partition; `app.log`: a file); it
// is also the folder its files get, unless others have files there. A *position* is the next place
// to read in a part, as text: `<ordinal>` or `<ordinal>@<identity>`. The ordinal is a decimal
// number that never falls within one identity; the identity changes when the thing behind the name
// is another one (a topic deleted and made again, a rotated file). Positions are kept in the
// commits themselves: that is what makes a replayable source exactly once.

/** `42` or `42@4f1c…`; see position.ts. */
export type Position = string

/** Next position to read, by part. */
export type Positions = Readonly<Record<string, Position>>

export interface SourceRecord {
  readonly key: Uint8Array | null
  /** Null: a tombstone. */
  readonly value: Uint8Array | null
  readonly headers: Readonly<Record<string, string>>
  /** The source's own time of it, milliseconds since 1970; null if it has none. */
  readonly timestampMs: number | null
  /** Where it lies; its ordinal, as a number. */
  readonly ordinal: number
}

/** Consecutive records of one part. */
export interface SourceBatch {
  readonly kind: 'batch'
  readonly part: string
  /** Where reading began: what the host holds for this part, or the start the source chose. */
  readonly from: Position
  /** The next position once these are in; beyond the last record where the feed has holes. */
  readonly to: Position
  readonly records: readonly SourceRecord[]
  /** What they weigh in memory, for the host's budget. */
  readonly bytes: number
}

/**
 * What can be wrong, as a value the host understands.
 * - `lost`: the connection or the system; opened again after a back-off.
 * - `back-off`: the system asks for a pause of `waitMs`.
 * - `end`: there will never be more.
 * - `poison`: one record that cannot be read; the host's policy decides. Reading goes on behind it.
 * - `gap`: records between `from` and `to` are gone from the source before we read them.
 * - `recreated`: the part is another thing now than the positions speak of.
 * - `fatal`: wrong options, no permission: a person must look.
 */
export type Trouble =
  | { readonly kind: 'lost'; readonly text: string }
  | { readonly kind: 'back-off'; readonly text: string; readonly waitMs: number }
  | { readonly kind: 'end' }
  | {
      readonly kind: 'poison'
      readonly part: string
      readonly text: string
      readonly from: Position
      readonly to: Position
      readonly bytes: Uint8Array
    }
  | {
      readonly kind: 'gap'
      readonly part: string
      readonly text: string
      readonly from: Position
      readonly to: Position
    }
  | { readonly kind: 'recreated'; readonly part: string; readonly text: string }
  | { readonly kind: 'fatal'; readonly text: string }

/** How far a part is behind. */
export interface PartLag {
  readonly part: string
  /** The source's end: the position the next new record will have; null if it cannot tell. */
  readonly end: Position | null
}

export interface Source {
  /**
   * Reads on from the positions; a part without one begins where the options say. Batches of one
   * part are consecutive. Anything but a batch or a poison record ends the stream; so does the
   * signal. Pull is the back-pressure: a source holds no more than its own small buffer.
   */
  open(positions: Positions, signal: AbortSignal): AsyncIterable<SourceBatch | Trouble>
  /** Called only after the commit that holds everything before these positions is a fact. */
  ack(positions: Positions): Promise<void>
  lag(): Promise<readonly PartLag[]>
  close(): Promise<void>
}

export interface SinkRecord {
  /** `<commit id>:<path>#<line>`: the same for the same record for ever. Lines count from 1. */
  readonly id: string
  readonly value: Uint8Array
}

/** Consecutive records of one commit. */
export interface SinkBatch {
  /** The commit set's id. */
  readonly commit: string
  readonly records: readonly SinkRecord[]
}

/** Where delivered records are, in the sink's own words: JSON values only. */
export type Coordinates = Readonly<Record<string, unknown>>

export interface Sink {
  /**
   * Begins behind what was delivered, and takes back what was written after it where the system
   * can. `delivered`: what `commit` last returned, as the log recorded it; null at the very first
   * time. Returns where it stands.
   */
  open(delivered: Coordinates | null): Promise<{ readonly at: Coordinates } | Trouble>
  /** Hands records over in order; null is success. They count only after `commit`. */
  write(batch: SinkBatch): Promise<Trouble | null>
  /** Makes everything written durable and says where it is. */
  commit(): Promise<{ readonly at: Coordinates } | Trouble>
  close(): Promise<void>
}
