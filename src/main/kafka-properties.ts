// How to talk to the brokers, from a file of Java properties: the names people have in theirs.

import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { KafkaOptions } from '../kafka/connect.ts'

const KNOWN = [
  'client.id',
  'security.protocol',
  'sasl.mechanism',
  'sasl.username',
  'sasl.password',
  'sasl.jaas.config',
  'ssl.ca.location',
  'ssl.certificate.location',
  'ssl.key.location',
  'ssl.key.password',
  'ssl.truststore.type',
  'ssl.truststore.location',
  'ssl.endpoint.identification.algorithm',
  'bootstrap.servers',
]
const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']
const MECHANISMS = {
  PLAIN: 'plain',
  'SCRAM-SHA-256': 'scram-sha-256',
  'SCRAM-SHA-512': 'scram-sha-512',
} as const

type Properties = Readonly<Record<string, string>>

/** @throws VarveError INVALID_OPTION naming the property, never a secret's value */
export async function kafkaOptionsOf(
  brokers: readonly string[],
  file: string | undefined,
): Promise<KafkaOptions> {
  if (file === undefined) return { brokers }
  const text = await read(file, 'the Kafka properties')
  const properties = parseProperties(text)
  for (const name of Object.keys(properties))
    if (!KNOWN.includes(name)) {
      const near = nearest(name, KNOWN)
      refuse(`"${name}" of "${file}": ${near ? `did you mean "${near}"?` : 'it is not known here'}`)
    }
  const protocol = properties['security.protocol'] ?? 'PLAINTEXT'
  if (!PROTOCOLS.includes(protocol))
    refuse(`security.protocol "${protocol}": it is one of ${PROTOCOLS.join(', ')}`)
  return {
    brokers,
    ...(properties['client.id'] ? { clientId: properties['client.id'] } : {}),
    ...(protocol.endsWith('SSL') ? { ssl: await tlsOf(properties, dirname(resolve(file))) } : {}),
    ...(protocol.startsWith('SASL') ? { sasl: loginOf(properties) } : {}),
  }
}

async function tlsOf(
  properties: Properties,
  folder: string,
): Promise<NonNullable<KafkaOptions['ssl']>> {
  const store = properties['ssl.truststore.location']
  if (store !== undefined && properties['ssl.truststore.type'] !== 'PEM')
    refuse('ssl.truststore.location: give certificates as PEM, by ssl.ca.location')
  const pem = async (name: string): Promise<string | undefined> => {
    const path = properties[name]
    return path === undefined ? undefined : read(resolve(folder, path), name)
  }
  const ca = (await pem('ssl.ca.location')) ?? (await pem('ssl.truststore.location'))
  const cert = await pem('ssl.certificate.location')
  const key = await pem('ssl.key.location')
  const passphrase = properties['ssl.key.password']
  const checksName = properties['ssl.endpoint.identification.algorithm'] !== ''
  return {
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(checksName ? {} : { checkServerIdentity: () => undefined }),
  }
}

function loginOf(properties: Properties): NonNullable<KafkaOptions['sasl']> {
  const asked = properties['sasl.mechanism'] ?? 'PLAIN'
  const mechanism = MECHANISMS[asked as keyof typeof MECHANISMS] as
    | (typeof MECHANISMS)[keyof typeof MECHANISMS]
    | undefined
  if (mechanism === undefined)
    return refuse(`sasl.mechanism "${asked}": it is one of ${Object.keys(MECHANISMS).join(', ')}`)
  const jaas = properties['sasl.jaas.config'] ?? ''
  const ofJaas = (name: string): string | undefined =>
    new RegExp(`\\b${name}\\s*=\\s*"((?:[^"\\\\]|\\\\.)*)"`)
      .exec(jaas)?.[1]
      ?.replace(/\\(.)/g, '$1')
  const username = properties['sasl.username'] ?? ofJaas('username')
  const password = properties['sasl.password'] ?? ofJaas('password')
  if (username === undefined || password === undefined)
    return refuse('SASL: give sasl.username and sasl.password, or sasl.jaas.config with both')
  // Each mechanism is a type of its own there.
  return { mechanism, username, password } as NonNullable<KafkaOptions['sasl']>
}

/** Java's format: comments, `=`, `:` or a space between, escapes, lines that go on behind a backslash. */
export function parseProperties(text: string): Properties {
  const properties: Record<string, string> = {}
  for (const line of text.replace(/(?<!\\)((?:\\\\)*)\\\r?\n\s*/g, '$1').split(/\r?\n/)) {
    const match = /^\s*([^#!\s=:][^\s=:]*)\s*[=:\s]\s*(.*?)\s*$/.exec(line)
    if (match?.[1]) properties[match[1]] = unescaped(match[2] ?? '')
  }
  return properties
}

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescaped(value: string): string {
  return value.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex?: string, one?: string) =>
    hex === undefined ? (ESCAPES[one ?? ''] ?? one ?? '') : String.fromCharCode(parseInt(hex, 16)),
  )
}

async function read(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const said = `cannot read "${file}" for ${what}: ${(cause as Error).message}`
    throw new VarveError('INVALID_OPTION', said, { cause })
  }
}

function refuse(text: string): never {
  throw new VarveError('INVALID_OPTION', `cannot use ${text}`)
}
