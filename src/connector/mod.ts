// The one door for connector authors: `varve/connector`.

export { sinkSpec, sourceSpec } from './connector.ts'
export type { Connector, ConnectorContext, SinkSpec, SourceClass, SourceSpec } from './connector.ts'
export type {
  Coordinates,
  PartLag,
  Position,
  Positions,
  Sink,
  SinkBatch,
  SinkRecord,
  Source,
  SourceBatch,
  SourceRecord,
  Trouble,
} from './contract.ts'
export { keyAt, lines, toLine } from './formats.ts'
export type { FormatName } from './formats.ts'
export { describeOptions, readOptions } from './options.ts'
export type { OptionSpec, OptionSpecs, OptionValues } from './options.ts'
export { makePosition, parsePosition } from './position.ts'
