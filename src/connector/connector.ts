// The one declaration of a connector: its name, its options, and how to make a source or a sink.
// Validation, help and the reference page follow from it.

import type { Sink, Source } from './contract.ts'
import type { OptionSpecs, OptionValues } from './options.ts'

/**
 * `replayable`: a cursor, so exactly once into commits. `acknowledged`: a queue, at least once,
 * repeated messages dropped by their id within a window.
 */
export type SourceClass = 'replayable' | 'acknowledged'

/** What a connector gets from its host; time and chance are guests. */
export interface ConnectorContext {
  nowMs(): number
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Resolves a secret option: `{env: NAME}` or `{file: PATH}`. @throws VarveError INVALID_OPTION */
  secret(reference: unknown): Promise<string>
}

export interface SourceSpec<S extends OptionSpecs = OptionSpecs> {
  readonly class: SourceClass
  /** What a part's ordinal counts. */
  readonly ordinal: 'records' | 'bytes'
  readonly options: S
  /** Loads what it needs (vendor clients by dynamic import) and makes a source; opens nothing. */
  make(options: OptionValues<S>, context: ConnectorContext): Promise<Source>
}

export interface SinkSpec<S extends OptionSpecs = OptionSpecs> {
  /** In words for the reader: how a record is delivered once. */
  readonly delivery: string
  readonly options: S
  make(options: OptionValues<S>, context: ConnectorContext): Promise<Sink>
}

export interface Connector {
  /** As in `source: {kafka: {…}}`. */
  readonly name: string
  readonly summary: string
  readonly source: SourceSpec | null
  readonly sink: SinkSpec | null
}

/** Keep the exact option types of a source while it joins the untyped list of connectors. */
export function sourceSpec<S extends OptionSpecs>(spec: SourceSpec<S>): SourceSpec {
  return spec as unknown as SourceSpec
}

export function sinkSpec<S extends OptionSpecs>(spec: SinkSpec<S>): SinkSpec {
  return spec as unknown as SinkSpec
}
