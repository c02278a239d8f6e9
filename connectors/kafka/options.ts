// Options by the names of Kafka's Java properties, so that what people have works here.

import type { ConnectorContext, OptionSpecs, OptionValues } from '../../src/connector/mod.ts'
import type { KafkaOptions } from '../../src/kafka/connect.ts'
import { fromJavaSettings } from '../../src/kafka/java-settings.ts'

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
  'sasl.jaas.config': {
    type: 'secret',
    help: "user and password in Java's form, by reference; instead of the next two",
  },
  'sasl.username': { type: 'text', help: 'who logs in' },
  'sasl.password': { type: 'secret', help: 'its password, by reference' },
  'ssl.truststore.certificates': {
    type: 'secret',
    help: 'certificates to trust, PEM, by reference; default: the system',
  },
  'ssl.keystore.key': { type: 'secret', help: 'our own key, PEM, by reference' },
  'ssl.keystore.certificate.chain': {
    type: 'secret',
    help: 'our own certificate, PEM, by reference',
  },
  'ssl.key.password': { type: 'secret', help: 'the password of our key, by reference' },
  'ssl.endpoint.identification.algorithm': {
    type: 'text',
    oneOf: ['https', ''],
    default: 'https',
    help: 'empty: the name in the certificate of a broker is not compared with its address',
  },
  'request.timeout.ms': { type: 'integer', min: 1, help: 'no answer in this time is a failure' },
  'socket.connection.setup.timeout.ms': {
    type: 'integer',
    min: 1,
    help: 'no connection in this time is a failure',
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

/** How to connect, with secrets resolved. @throws VarveError INVALID_OPTION */
export async function kafkaOptions(
  options: OptionValues<typeof CLUSTER>,
  context: ConnectorContext,
): Promise<KafkaOptions> {
  const settings = new Map<string, string>()
  const specs: OptionSpecs = CLUSTER
  for (const [name, spec] of Object.entries(specs)) {
    const value: unknown = options[name as keyof typeof CLUSTER]
    if (value === undefined) continue
    const text = spec.type === 'secret' ? await context.secret(value) : textOf(value)
    settings.set(name, text)
  }
  // No option names a file: whoever writes a spec may not read the server's.
  return fromJavaSettings(settings, () => Promise.reject(new Error('no files here')))
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : `${value as string | number}`
}
