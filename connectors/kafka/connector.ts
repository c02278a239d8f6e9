import { sinkSpec, sourceSpec } from '../../src/connector/mod.ts'
import type { Connector } from '../../src/connector/mod.ts'
import { SINK_OPTIONS, SOURCE_OPTIONS } from './options.ts'

/** The client is loaded when a source or a sink is made, so nobody else pays for it. */
export const kafkaConnector: Connector = {
  name: 'kafka',
  summary: 'Apache Kafka topics, brokers of 3.1 and later',
  source: sourceSpec({
    class: 'replayable',
    ordinal: 'records',
    options: SOURCE_OPTIONS,
    make: async (options, context) => {
      const { KafkaSource } = await import('./source.ts')
      return KafkaSource.make(options, context)
    },
  }),
  sink: sinkSpec({
    delivery:
      'in order, at least once; the header varve-record-id is the same for the same record, and a ' +
      'kill repeats at most the records since the last progress',
    options: SINK_OPTIONS,
    make: async (options, context) => {
      const { KafkaSink } = await import('./sink.ts')
      return KafkaSink.make(options, context)
    },
  }),
}
