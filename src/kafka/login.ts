// How a connection logs in: SASL by PLAIN or SCRAM (RFC 4616, RFC 5802).

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { KafkaError, accepted } from './error.ts'
import type { Request } from './request.ts'
import { WireWriter } from './wire.ts'

export interface Login {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

type Ask = <T>(request: Request<T>) => Promise<T>

interface Answer {
  readonly bytes: Buffer
  /** For how long the login holds; 0: for ever. */
  readonly lifetimeMs: number
}

const WHAT = 'cannot log in to Kafka'

/** @returns for how long it holds in milliseconds, 0 for ever @throws KafkaError denied, lost */
export async function logIn(login: Login, ask: Ask): Promise<number> {
  await ask(handshake(login.mechanism))
  const { lifetimeMs } =
    login.mechanism === 'plain'
      ? await ask(authenticate(`\0${login.username}\0${login.password}`))
      : await scram(login, login.mechanism === 'scram-sha-256' ? 'sha256' : 'sha512', ask)
  return lifetimeMs
}

const derive = promisify(pbkdf2)
const MIN_ITERATIONS = 4_096
const MAX_ITERATIONS = 1_000_000

async function scram(login: Login, hash: 'sha256' | 'sha512', ask: Ask): Promise<Answer> {
  const user = login.username.replaceAll('=', '=3D').replaceAll(',', '=2C')
  const nonce = randomBytes(24).toString('base64url')
  const first = `n=${user},r=${nonce}`
  const challenge = (await ask(authenticate(`n,,${first}`))).bytes.toString()
  const { r: both = '', s: salt = '', i: count = '' } = attributes(challenge)
  const iterations = Number(count)
  if (!both.startsWith(nonce) || both === nonce || salt === '')
    throw new KafkaError('denied', `${WHAT}: the broker's challenge does not fit`)
  if (!(iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS))
    throw new KafkaError('denied', `${WHAT}: the broker asks for ${count} iterations`)
  const bytes = hash === 'sha256' ? 32 : 64
  const salted = await derive(
    login.password.normalize('NFKC'),
    Buffer.from(salt, 'base64'),
    iterations,
    bytes,
    hash,
  )
  const mac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest()
  const clientKey = mac(salted, 'Client Key')
  const storedKey = createHash(hash).update(clientKey).digest()
  const unproven = `c=biws,r=${both}`
  const signed = `${first},${challenge},${unproven}`
  const proof = xor(clientKey, mac(storedKey, signed)).toString('base64')
  const last = await ask(authenticate(`${unproven},p=${proof}`))
  const { v: signature = '' } = attributes(last.bytes.toString())
  const expected = mac(mac(salted, 'Server Key'), signed)
  const given = Buffer.from(signature, 'base64')
  // Who does not know the password cannot be the broker either.
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new KafkaError('denied', `${WHAT}: the broker does not know the password itself`)
  return last
}

function attributes(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)))
}

function handshake(mechanism: Login['mechanism']): Request<void> {
  return {
    api: 'SaslHandshake',
    body: new WireWriter().string(mechanism.toUpperCase()).bytes(),
    read: (reader) => {
      const code = reader.int16()
      const known = reader.array(() => reader.string())
      accepted(WHAT, code, `it knows ${known.join(', ')}`)
    },
  }
}

function authenticate(text: string): Request<Answer> {
  return {
    api: 'SaslAuthenticate',
    body: new WireWriter().compactBytes(Buffer.from(text)).noTags().bytes(),
    read: (reader) => {
      const code = reader.int16()
      const words = reader.compactString()
      const bytes = reader.compactBytes() ?? Buffer.alloc(0)
      accepted(WHAT, code, words)
      return { bytes, lifetimeMs: reader.int64() }
    },
  }
}
