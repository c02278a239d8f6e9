// How to connect, in the names of Kafka's Java client (and a few of librdkafka's), so that the settings
// and files people have work here. What we do not know or cannot do is refused by name: a setting that
// is ignored in silence is how a connection ends up unencrypted.

import { VarveError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { KafkaOptions } from './connect.ts'

type Settings = ReadonlyMap<string, string>

/**
 * @param readFile gives the text of a file that a `*.location` names
 * @throws VarveError INVALID_OPTION: which setting, and what to do
 */
export async function fromJavaSettings(
  settings: Settings,
  readFile: (path: string) => Promise<string>,
): Promise<KafkaOptions> {
  for (const name of settings.keys()) if (!KNOWN.has(name)) refuse(name, remedyOf(name))
  const protocol = settings.get('security.protocol') ?? 'PLAINTEXT'
  if (!PROTOCOLS.includes(protocol))
    refuse('security.protocol', `"${protocol}" is none of ${PROTOCOLS.join(', ')}`)
  // Java leaves these aside in silence; a connection would be open that was meant to be closed.
  for (const name of settings.keys()) {
    if (/^ssl\.(truststore|keystore|key|ca|certificate)\./.test(name) && !protocol.endsWith('SSL'))
      refuse(name, `it says nothing with security.protocol=${protocol}: set SSL or SASL_SSL`)
    if (/^sasl\.(jaas|username|password)/.test(name) && !protocol.startsWith('SASL'))
      refuse(name, `it says nothing with security.protocol=${protocol}: set SASL_SSL`)
  }
  const connectTimeoutMs = integer(settings, 'socket.connection.setup.timeout.ms')
  const requestTimeoutMs = integer(settings, 'request.timeout.ms')
  const clientId = settings.get('client.id')
  return {
    brokers: list(settings.get('bootstrap.servers') ?? ''),
    ...(clientId === undefined ? {} : { clientId }),
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
    ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }),
    ...(protocol.endsWith('SSL') ? { ssl: await tlsOf(settings, readFile) } : {}),
    ...(protocol.startsWith('SASL') ? { sasl: loginOf(settings) } : {}),
  }
}

const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']

const KNOWN = new Set([
  'bootstrap.servers',
  'client.id',
  'security.protocol',
  'request.timeout.ms',
  'socket.connection.setup.timeout.ms',
  'sasl.mechanism',
  'sasl.jaas.config',
  'ssl.truststore.type',
  'ssl.truststore.location',
  'ssl.truststore.certificates',
  'ssl.keystore.type',
  'ssl.keystore.location',
  'ssl.keystore.key',
  'ssl.keystore.certificate.chain',
  'ssl.key.password',
  'ssl.endpoint.identification.algorithm',
  // librdkafka's
  'sasl.username',
  'sasl.password',
  'ssl.ca.location',
  'ssl.certificate.location',
  'ssl.key.location',
])

function remedyOf(name: string): string {
  if (/^ssl\.(trust|key)store\.password$/.test(name))
    return 'PEM stores have none: leave it out; the password of a private key is ssl.key.password'
  if (name.startsWith('sasl.kerberos') || name.startsWith('sasl.oauthbearer'))
    return 'only logins by PLAIN and SCRAM are supported'
  const near = nearest(name, [...KNOWN])
  if (near !== undefined) return `there is no such setting; did you mean "${near}"?`
  if (/^(ssl|sasl|security)\./.test(name)) return 'it is not supported: leave it out'
  return 'it says nothing about how to connect: leave it out'
}

function refuse(name: string, why: string): never {
  throw new VarveError('INVALID_OPTION', `cannot use the Kafka setting "${name}": ${why}`)
}

function list(text: string): string[] {
  const entries = text.split(',').map((entry) => entry.trim())
  return entries.filter((entry) => entry !== '')
}

function integer(settings: Settings, name: string): number | undefined {
  const text = settings.get(name)
  if (text === undefined) return undefined
  if (!/^[1-9][0-9]{0,8}$/.test(text.trim()))
    refuse(name, `"${text}" is not a number of milliseconds`)
  return Number(text)
}

async function tlsOf(
  settings: Settings,
  readFile: (path: string) => Promise<string>,
): Promise<NonNullable<KafkaOptions['ssl']>> {
  const file = (name: string): Promise<string | undefined> => fileOf(settings, name, readFile)
  const ca = (await pem(settings, 'ssl.truststore', readFile)) ?? (await file('ssl.ca.location'))
  const both = await pem(settings, 'ssl.keystore', readFile)
  const key = settings.get('ssl.keystore.key') ?? both ?? (await file('ssl.key.location'))
  const chain = settings.get('ssl.keystore.certificate.chain') ?? both
  const cert = chain ?? (await file('ssl.certificate.location'))
  if ((key === undefined) !== (cert === undefined))
    refuse('ssl.keystore.key', 'a key and ssl.keystore.certificate.chain go together')
  const passphrase = settings.get('ssl.key.password')
  const check = settings.get('ssl.endpoint.identification.algorithm') ?? 'https'
  if (check !== 'https' && check !== '')
    refuse('ssl.endpoint.identification.algorithm', `"${check}" is neither "https" nor empty`)
  return {
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...(key === undefined || cert === undefined ? {} : { key, cert }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(check === '' ? { checkServerIdentity: () => undefined } : {}),
  }
}

/** The PEM text of a store, from the settings or from its file. */
async function pem(
  settings: Settings,
  store: 'ssl.truststore' | 'ssl.keystore',
  readFile: (path: string) => Promise<string>,
): Promise<string | undefined> {
  const inline = store === 'ssl.truststore' ? `${store}.certificates` : `${store}.key`
  const location = settings.get(`${store}.location`)
  const type = settings.get(`${store}.type`)
  if (type !== undefined && type !== 'PEM') refuse(`${store}.type`, exportRemedy(type, store))
  if (location === undefined) return store === 'ssl.truststore' ? settings.get(inline) : undefined
  // Without a type it is a Java keystore to Java.
  if (type === undefined) refuse(`${store}.location`, exportRemedy('JKS', store))
  if (settings.has(inline)) refuse(`${store}.location`, `${inline} is given already`)
  return fileOf(settings, `${store}.location`, readFile)
}

async function fileOf(
  settings: Settings,
  name: string,
  readFile: (path: string) => Promise<string>,
): Promise<string | undefined> {
  const path = settings.get(name)
  if (path === undefined) return undefined
  try {
    return await readFile(path)
  } catch (error) {
    return refuse(name, error instanceof Error ? error.message : String(error))
  }
}

function exportRemedy(type: string, store: string): string {
  const part = store === 'ssl.truststore' ? '-nokeys ' : '-nodes '
  return (
    `stores of type ${type} are not supported: export it as PEM (keytool -importkeystore ` +
    `-srckeystore STORE -destkeystore store.p12 -deststoretype PKCS12, then openssl pkcs12 ` +
    `-in store.p12 ${part}-out store.pem) and set ${store}.type=PEM`
  )
}

function loginOf(settings: Settings): NonNullable<KafkaOptions['sasl']> {
  const mechanism = settings.get('sasl.mechanism')
  if (mechanism === undefined)
    refuse('sasl.mechanism', 'it is missing: set PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512')
  const kind = MECHANISMS[mechanism]
  if (!kind)
    refuse('sasl.mechanism', `"${mechanism}" is none of ${Object.keys(MECHANISMS).join(', ')}`)
  const { username, password } = credentials(settings, mechanism, kind.module)
  if (username === undefined || password === undefined)
    refuse('sasl.jaas.config', 'username or password is missing')
  return { mechanism: kind.mechanism, username, password } as NonNullable<KafkaOptions['sasl']>
}

function credentials(
  settings: Settings,
  mechanism: string,
  wanted: string,
): { readonly username?: string | undefined; readonly password?: string | undefined } {
  const username = settings.get('sasl.username')
  const password = settings.get('sasl.password')
  const jaas = settings.get('sasl.jaas.config')
  if (jaas === undefined) return { username, password }
  if (username !== undefined || password !== undefined)
    refuse('sasl.jaas.config', 'sasl.username or sasl.password is given already')
  const { module, options } = parseJaas(jaas)
  if (module !== wanted)
    refuse('sasl.jaas.config', `"${module}" is not the login of ${mechanism}: use ${wanted}`)
  return { username: options['username'], password: options['password'] }
}

const LOGIN = 'org.apache.kafka.common.security'
const SCRAM_MODULE = `${LOGIN}.scram.ScramLoginModule`
const MECHANISMS: Readonly<Record<string, { mechanism: string; module: string }>> = {
  PLAIN: { mechanism: 'plain', module: `${LOGIN}.plain.PlainLoginModule` },
  'SCRAM-SHA-256': { mechanism: 'scram-sha-256', module: SCRAM_MODULE },
  'SCRAM-SHA-512': { mechanism: 'scram-sha-512', module: SCRAM_MODULE },
}

/** `module required name="value" …;` */
function parseJaas(text: string): { module: string; options: Record<string, string> } {
  const parts = /^\s*([\w.$]+)\s+(required|requisite|sufficient|optional)\b([^]*?);\s*$/i.exec(text)
  const bad = 'it is not of the form: MODULE required username="…" password="…";'
  if (!parts) return refuse('sasl.jaas.config', bad)
  const [, module = '', , rest = ''] = parts
  const options: Record<string, string> = {}
  const pair = /\s*([\w.]+)\s*=\s*(?:"((?:\\[^]|[^"\\])*)"|'((?:\\[^]|[^'\\])*)'|([^\s;"'=]+))/y
  while (rest.slice(pair.lastIndex).trim() !== '') {
    const found = pair.exec(rest)
    // The text holds a password: it is not repeated.
    if (!found) return refuse('sasl.jaas.config', bad)
    const [, name = '', double, single, bare] = found
    options[name] = bare ?? (double ?? single ?? '').replace(/\\([^])/g, '$1')
  }
  return { module, options }
}
