// Examines what a cluster stands on, one after the other, as `varve doctor --server` shows it.

import type { Check } from '../base/check.ts'
import { systemClock } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { checkHash } from './compute.ts'
import { blobOptions, busOptions, tablesOptions } from './dependencies.ts'
import type { ServeOptions } from './dependencies.ts'

export type Examined = 'hash' | 'bus' | 'tables' | 'blob' | 'registry'

const ALL: readonly Examined[] = ['hash', 'bus', 'tables', 'blob', 'registry']

/** @throws VarveError INVALID_OPTION on options no dependency could be reached by */
export async function* examine(
  options: ServeOptions,
  which: readonly Examined[] = ALL,
  clock: Clock = systemClock,
): AsyncGenerator<Check> {
  if (which.includes('hash')) yield checkHash()
  if (which.includes('bus')) yield* checkBus(options, clock)
  if (which.includes('tables')) yield* checkTables(options, clock)
  if (which.includes('blob')) yield* checkBlob(options, clock)
  if (which.includes('registry') && options.registry !== undefined)
    yield* checkRegistry(options.registry)
}

async function* checkBus(options: ServeOptions, clock: Clock): AsyncGenerator<Check> {
  const given = await busOptions(options, clock)
  const { checkKafka } = await import('../bus/adapters/kafka/check.ts')
  yield* checkKafka(given, clock)
}

async function* checkTables(options: ServeOptions, clock: Clock): AsyncGenerator<Check> {
  const given = await tablesOptions(options)
  const { checkCassandra } = await import('../tables/adapters/cassandra/check.ts')
  yield* checkCassandra(given, clock)
}

async function* checkBlob(options: ServeOptions, clock: Clock): AsyncGenerator<Check> {
  const { checkS3 } = await import('../blob/adapters/s3/check.ts')
  yield* checkS3(blobOptions(options), clock)
}

const REGISTRY_MS = 5_000

/** A registry with the Confluent API: it answers, lets us in, and speaks it. */
async function* checkRegistry(address: string): AsyncGenerator<Check> {
  const url = new URL(`${address.replace(/\/$/, '')}/subjects`)
  const login = url.username === '' ? undefined : btoa(`${url.username}:${url.password}`)
  url.username = ''
  url.password = ''
  const what = `schema registry at ${url.origin}${url.pathname.replace(/\/subjects$/, '')}`
  const failed = (found: string, remedy: string): Check => ({
    what,
    state: 'failed',
    found,
    remedy,
  })
  try {
    const headers: Record<string, string> =
      login === undefined ? {} : { authorization: `Basic ${login}` }
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(REGISTRY_MS) })
    const text = await answer.text()
    if (answer.status === 401 || answer.status === 403)
      return yield failed(
        `it answers ${answer.status}: not allowed`,
        'give a user and password in the address, or let this one read subjects',
      )
    if (!answer.ok || !Array.isArray(asJson(text)))
      return yield failed(
        `it answers ${answer.status}, no list of subjects`,
        'check VARVE_REGISTRY: the path of its Confluent API is part of it (Apicurio: /apis/ccompat/v7)',
      )
    const count = (asJson(text) as unknown[]).length
    yield { what, state: 'ok', found: `${count} subject${count === 1 ? '' : 's'}` }
  } catch (error) {
    const { message, cause } = error as Error
    const why = cause instanceof Error ? cause.message : message
    yield failed(
      `no answer: ${why}`,
      'check VARVE_REGISTRY, and that it runs and is reachable from here',
    )
  }
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
