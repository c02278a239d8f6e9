// What a cluster stands on: how each dependency is reached by the options of `varve serve`, opened with
// patience, because in a cluster nobody promises an order of starts, and examined.

import { readFile } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'
import { isVarveError, VarveError } from '../base/errors.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import { faultOf } from '../blob/adapters/s3/fault.ts'
import type { S3BlobStore } from '../blob/adapters/s3/store.ts'
import type { S3Options } from '../blob/adapters/s3/options.ts'
import type { KafkaBus, KafkaBusOptions } from '../bus/adapters/kafka/bus.ts'
import type { OptionsOf } from '../config/options.ts'
import { kafkaOptionsOfFile } from '../kafka/settings-file.ts'
import type { Dependency } from '../server/health.ts'
import type { CassandraOptions } from '../tables/adapters/cassandra/connect.ts'
import type { CassandraTables } from '../tables/adapters/cassandra/tables.ts'
import { SETTINGS } from './settings.ts'
import { CLUSTER_TABLES } from './tables.ts'

export type ServeOptions = OptionsOf<'serve'>

interface Guests {
  readonly clock: Clock
  readonly random: Random
}

/** As `varve doctor`, probes and messages call them. */
export const NAMES = { bus: 'Kafka', tables: 'Cassandra', blob: 'the blob store' } as const

/** @throws VarveError INVALID_OPTION */
export async function busOptions(options: ServeOptions, clock: Clock): Promise<KafkaBusOptions> {
  const { kafka, kafkaConfig, topicPrefix, replication } = options
  return {
    connection: await kafkaOptionsOfFile(kafka, kafkaConfig),
    topicPrefix,
    replication,
    clock,
  }
}

/** @throws VarveError INVALID_OPTION */
export async function tablesOptions(options: ServeOptions): Promise<CassandraOptions> {
  const { cassandraUsername: username, cassandraPassword: password, cassandraCa } = options
  const datacenter = options.cassandraDatacenter
  return {
    contactPoints: options.cassandra,
    datacenter,
    keyspace: options.cassandraKeyspace,
    replication: { [datacenter]: options.replication },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(cassandraCa === undefined ? {} : { tls: { ca: await certificates(cassandraCa) } }),
  }
}

export function blobOptions(options: ServeOptions): S3Options {
  const { s3Endpoint, s3Region, s3Bucket, s3Prefix, s3AccessKey, s3SecretKey, s3PathStyle } =
    options
  if ((s3AccessKey === undefined) !== (s3SecretKey === undefined))
    throw new VarveError(
      'INVALID_OPTION',
      'cannot use one of VARVE_S3_ACCESS_KEY and VARVE_S3_SECRET_KEY alone: give both or none',
    )
  return {
    region: s3Region,
    bucket: s3Bucket,
    ...(s3Endpoint === undefined ? {} : { endpoint: s3Endpoint }),
    ...(s3Prefix === undefined ? {} : { prefix: s3Prefix }),
    ...(s3AccessKey === undefined ? {} : { accessKey: s3AccessKey }),
    ...(s3SecretKey === undefined ? {} : { secretKey: s3SecretKey }),
    ...(s3PathStyle === undefined ? {} : { pathStyle: s3PathStyle }),
  }
}

async function certificates(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const said = `cannot read "${file}" for VARVE_CASSANDRA_CA: ${(cause as Error).message}`
    throw new VarveError('INVALID_OPTION', said, { cause })
  }
}

export interface Dependencies {
  readonly bus: KafkaBus
  readonly tables: CassandraTables
  readonly blob: S3BlobStore
  /** One cheap question to each. */
  readonly probes: readonly Dependency[]
  close(): Promise<void>
}

export interface Start extends Guests {
  /** A line for whoever watches the start. */
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/** A start that cannot go on: which dependencies it waited for in vain, or cannot be used as they are. */
export class StartFailed extends VarveError {
  readonly because: readonly (keyof typeof NAMES)[]

  constructor(code: ErrorCode, message: string, because: readonly (keyof typeof NAMES)[]) {
    super(code, message)
    this.because = because
  }
}

/**
 * All of them, open and answering.
 * @throws StartFailed UNAVAILABLE when one did not answer within the patience of the options,
 * MISCONFIGURED as soon as one is found to need an operator; VarveError INVALID_OPTION
 */
export async function openDependencies(options: ServeOptions, given: Start): Promise<Dependencies> {
  const { clock } = given
  const ofBus = await busOptions(options, clock)
  const ofTables = await tablesOptions(options)
  const ofBlob = blobOptions(options)
  const { KafkaBus } = await import('../bus/adapters/kafka/bus.ts')
  const { CassandraTables } = await import('../tables/adapters/cassandra/tables.ts')
  const { S3BlobStore } = await import('../blob/adapters/s3/store.ts')
  const patienceMs = options.startPatienceSeconds * 1_000
  const stop = new AbortController()
  const start = { ...given, signal: AbortSignal.any([given.signal, stop.signal]) }
  const opening = {
    bus: wait('bus', patienceMs, start, () => KafkaBus.open(ofBus)),
    tables: wait('tables', patienceMs, start, () => CassandraTables.open(ofTables, CLUSTER_TABLES)),
    blob: wait('blob', patienceMs, start, async () => {
      const store = await S3BlobStore.open(ofBlob)
      try {
        await probeBlob(store)
        return store
      } catch (error) {
        store.close()
        throw forOperator(error)
      }
    }),
  }
  // Where waiting does not help, the others are not waited for either.
  for (const one of Object.values(opening))
    one.catch((error: unknown) => !isPassing(error) && stop.abort())
  const [bus, tables, blob] = await Promise.allSettled([
    opening.bus,
    opening.tables,
    opening.blob,
  ] as const)
  const close = async (): Promise<void> => {
    // The bus first: its handlers use the others.
    if (bus.status === 'fulfilled') await bus.value.close()
    if (tables.status === 'fulfilled') await tables.value.close()
    if (blob.status === 'fulfilled') blob.value.close()
  }
  if (bus.status === 'fulfilled' && tables.status === 'fulfilled' && blob.status === 'fulfilled')
    return {
      bus: bus.value,
      tables: tables.value,
      blob: blob.value,
      probes: [
        { name: NAMES.bus, probe: () => bus.value.probe() },
        {
          name: NAMES.tables,
          probe: async () => void (await tables.value.get(SETTINGS, { name: 'workspace' })),
        },
        { name: NAMES.blob, probe: () => probeBlob(blob.value) },
      ],
      close,
    }
  await close()
  const outcomes = { bus, tables, blob }
  const failed = (Object.keys(outcomes) as (keyof typeof outcomes)[]).flatMap((name) => {
    const outcome = outcomes[name]
    return outcome.status === 'rejected' ? [{ name, cause: outcome.reason as unknown }] : []
  })
  const needsOperator = failed.filter(({ cause }) => !isPassing(cause))
  for (const { cause } of needsOperator) if (!isVarveError(cause, 'MISCONFIGURED')) throw cause
  const because = needsOperator.length > 0 ? needsOperator : failed
  const said = because.map(({ cause }) => (cause instanceof Error ? cause.message : String(cause)))
  throw new StartFailed(
    needsOperator.length > 0 ? 'MISCONFIGURED' : 'UNAVAILABLE',
    `cannot start: ${said.join('; ')}`,
    because.map(({ name }) => name),
  )
}

/** While a process serves, what the store refuses may be mended meanwhile; a start says it at once. */
function forOperator(error: unknown): unknown {
  if (!isVarveError(error, 'UNAVAILABLE') || faultOf(error.cause ?? {}).kind !== 'final')
    return error
  return new VarveError('MISCONFIGURED', error.message, { cause: error })
}

/** Any key will do, one that nobody writes costs least. */
async function probeBlob(store: S3BlobStore): Promise<void> {
  await store.head('probe')
}

/** Whether it may be otherwise in a moment. */
function isPassing(error: unknown): boolean {
  return !isVarveError(error) || error.spec.retry
}

const BACKOFF = { firstMs: 1_000, maxMs: 5_000 }
const SAY_AGAIN_MS = 10_000

async function wait<T>(
  which: keyof typeof NAMES,
  patienceMs: number,
  { clock, random, say, signal }: Start,
  open: () => Promise<T>,
): Promise<T> {
  const beganMs = clock.monotonicMs()
  let saidMs = Number.NEGATIVE_INFINITY
  for (let attempt = 0; ; attempt++) {
    try {
      return await open()
    } catch (error) {
      const nowMs = clock.monotonicMs()
      if (!isPassing(error) || signal.aborted || nowMs - beganMs >= patienceMs) throw error
      if (nowMs - saidMs >= SAY_AGAIN_MS) {
        saidMs = nowMs
        const cause = error instanceof Error ? error.message : String(error)
        say(`waiting for ${NAMES[which]}: ${cause}`)
      }
      await clock.sleep(200 + backoffMs(BACKOFF, attempt, random), signal)
    }
  }
}
