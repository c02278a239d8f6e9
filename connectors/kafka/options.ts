// Options by the names of Kafka's Java properties, so that what people have works here.

import type { ConnectorContext, OptionSpecs, OptionValues } from '../../src/connector/mod.ts'
import type { KafkaOptions } from '../../src/kafka/connect.ts'

const CLUSTER = {
  'bootstrap.servers': { type: 'list', required: true, help: 'brokers to begin with, host:port' },
  'client.id': { type: 'text', default: 'varve', help: 'what the brokers call us in their logs' },
  'security.protocol': {
    type: 'text',
    oneOf: ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'],
    default: 'PLAINTEXT',
    help: 'how to talk to the brokers',
  },
  'sasl.mechanism': {
    type: 'text',
    oneOf: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    default: 'PLAIN',
    help: 'how to log in, with a SASL protocol',
  },
  'sasl.username': { type: 'text', help: 'who logs in' },
  'sasl.password': { type: 'secret', help: 'its password, by reference' },
  'ssl.ca': {
    type: 'secret',
    help: 'certificates to trust, PEM, by reference; default: the system',
  },
} as const satisfies OptionSpecs

export const SOURCE_OPTIONS = {
  ...CLUSTER,
  topics: { type: 'list', required: true, help: 'topics to read, all their partitions' },
  start: {
    type: 'text',
    oneOf: ['earliest', 'latest'],
    default: 'earliest',
    help: 'where a topic that was never read begins',
  },
} as const satisfies OptionSpecs

export const SINK_OPTIONS = {
  ...CLUSTER,
  topic: { type: 'text', required: true, help: 'the topic to write to; it must exist' },
  key: {
    type: 'text',
    help: 'a JSON pointer into the line, as /user/id: the record key; without it there is none',
  },
} as const satisfies OptionSpecs

/** How to connect, with secrets resolved. */
export async function kafkaOptions(
  options: OptionValues<typeof CLUSTER>,
  context: ConnectorContext,
): Promise<KafkaOptions> {
  const protocol = options['security.protocol']
  const brokers = options['bootstrap.servers']
  const base = { brokers, clientId: options['client.id'] }
  const ca = options['ssl.ca']
  const ssl = ca === undefined ? true : { ca: [await context.secret(ca)] }
  const encrypted = protocol === 'SSL' || protocol === 'SASL_SSL' ? { ssl } : {}
  if (!protocol.startsWith('SASL')) return { ...base, ...encrypted }
  const login = {
    username: options['sasl.username'] ?? '',
    password: await context.secret(options['sasl.password']),
  }
  switch (options['sasl.mechanism']) {
    case 'SCRAM-SHA-256':
      return { ...base, ...encrypted, sasl: { mechanism: 'scram-sha-256', ...login } }
    case 'SCRAM-SHA-512':
      return { ...base, ...encrypted, sasl: { mechanism: 'scram-sha-512', ...login } }
    default:
      return { ...base, ...encrypted, sasl: { mechanism: 'plain', ...login } }
  }
}
