import { sinkSpec, sourceSpec } from '../../src/connector/mod.ts'
import type { Connector } from '../../src/connector/mod.ts'
import { SINK_OPTIONS, SOURCE_OPTIONS } from './options.ts'
import { FileSink } from './sink.ts'
import { FileSource } from './source.ts'

export const fileConnector: Connector = {
  name: 'file',
  summary: "Lines of files on the server's own disk",
  source: sourceSpec({
    class: 'replayable',
    ordinal: 'bytes',
    options: SOURCE_OPTIONS,
    make: async (options, context) => new FileSource(options, context),
  }),
  sink: sinkSpec({
    delivery: 'exactly once: after a kill the file is cut back to what was recorded as delivered',
    options: SINK_OPTIONS,
    make: async (options) => new FileSink(options),
  }),
}
