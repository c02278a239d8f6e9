// An examination of Kafka, from the network to the settings of each topic, for `varve doctor` and for
// a start that cannot go on. Permissions are tried out, and nothing is made or written.

import { connect } from 'node:net'
import type { Check } from '../../../base/check.ts'
import { systemClock } from '../../../base/clock.ts'
import type { Clock } from '../../../base/clock.ts'
import { createTopic, topicOffsets, topicSettings } from '../../../kafka/admin.ts'
import { parseAddress } from '../../../kafka/broker.ts'
import { KafkaConnection } from '../../../kafka/connect.ts'
import { KafkaError } from '../../../kafka/error.ts'
import { GroupMember } from '../../../kafka/member.ts'
import type { ClusterMetadata, TopicMetadata } from '../../../kafka/metadata.ts'
import { readPartitions } from '../../../kafka/read.ts'
import { TOPIC_SPECS } from '../../topics.ts'
import type { TopicSpec } from '../../topics.ts'
import type { KafkaBusOptions } from './bus.ts'
import { TopicKeeper } from './topic-keeper.ts'
import { driftOf, newTopic } from './topic-settings.ts'

const CONNECT_MS = 5_000
const REQUEST_MS = 10_000
const JOIN_TRIES = 5
const JOIN_AGAIN_MS = 1_000

export async function* checkKafka(
  options: Omit<KafkaBusOptions, 'clock'>,
  clock: Clock,
): AsyncGenerator<Check> {
  const { brokers } = options.connection
  let listening = 0
  for (const address of brokers) {
    const found = await listens(address)
    if (found === undefined) listening++
    else
      yield {
        what: `Kafka at ${address}`,
        state: listening > 0 || brokers.length > 1 ? 'warning' : 'failed',
        found,
        remedy: 'start the broker, or mend the address in VARVE_KAFKA (host:port of a listener)',
      }
  }
  if (listening === 0) {
    if (brokers.length > 1)
      yield {
        what: `Kafka at ${brokers.join(', ')}`,
        state: 'failed',
        found: 'no broker can be reached',
        remedy: 'start the brokers, or mend the addresses in VARVE_KAFKA',
      }
    return
  }
  const connection = new KafkaConnection({
    connectTimeoutMs: CONNECT_MS,
    requestTimeoutMs: REQUEST_MS,
    ...options.connection,
  })
  try {
    yield* checkCluster(connection, options, clock)
  } finally {
    connection.close()
  }
}

async function* checkCluster(
  connection: KafkaConnection,
  options: Omit<KafkaBusOptions, 'clock'>,
  clock: Clock,
): AsyncGenerator<Check> {
  const what = `Kafka at ${options.connection.brokers.join(', ')}`
  const replication = options.replication ?? 3
  const specs = options.topics ?? TOPIC_SPECS
  const topicPrefix = options.topicPrefix ?? 'varve'
  const keeper = new TopicKeeper({ connection, topicPrefix, replication, specs })
  const named = Object.entries(specs).map(([topic, spec]) => ({ name: keeper.nameOf(topic), spec }))
  let cluster: ClusterMetadata
  try {
    cluster = await connection.metadata(named.map(({ name }) => name))
  } catch (error) {
    yield { what, ...failedConnection(error, options) }
    return
  }
  yield { what, state: 'ok', found: `${cluster.brokers.length} broker(s), 3.1 or later` }
  if (cluster.brokers.length < replication)
    yield {
      what: 'copies of topics',
      state: 'failed',
      found: `${replication} copies are asked for, of ${cluster.brokers.length} broker(s)`,
      remedy: `start more brokers, or set VARVE_REPLICATION to at most ${cluster.brokers.length}`,
    }
  const there: string[] = []
  for (const { name } of named) if (isThere(cluster.topics.get(name))) there.push(name)
  let settings: Awaited<ReturnType<typeof topicSettings>> | undefined
  try {
    settings = await topicSettings(connection, there)
  } catch (error) {
    yield {
      what: 'settings of topics',
      state: 'failed',
      found: words(error),
      remedy: `allow DescribeConfigs on topics that begin with "${topicPrefix}."`,
    }
  }
  for (const { name, spec } of named) {
    const found = cluster.topics.get(name)
    if (isThere(found)) {
      const kept = settings?.get(name)
      const yielded: Check[] = []
      if (kept) yielded.push(...judge(found, spec, kept, replication))
      yielded.push(...(await checkUse(connection, found, clock)))
      if (yielded.length > 0) yield* yielded
      else
        yield {
          what: `topic "${name}"`,
          state: 'ok',
          found: `${found.partitions.length} partitions`,
        }
    } else if (cluster.brokers.length >= replication)
      yield await checkCreate(connection, name, spec, replication, found)
  }
  yield await checkGroup(connection, `${topicPrefix}.doctor`, named[0]?.name ?? topicPrefix)
}

function isThere(found: TopicMetadata | KafkaError | undefined): found is TopicMetadata {
  return found !== undefined && !(found instanceof KafkaError)
}

function judge(
  topic: TopicMetadata,
  spec: TopicSpec,
  settings: Readonly<Record<string, string>>,
  replication: number,
): Check[] {
  const kept = {
    partitions: topic.partitions.length,
    replicas: Math.min(...topic.partitions.map(({ replicas }) => replicas)),
    settings,
  }
  return driftOf(topic.name, spec, kept, replication).map(({ found, remedy, warning }) => ({
    what: `topic "${topic.name}"`,
    state: warning === true ? 'warning' : 'failed',
    found,
    remedy,
  }))
}

/** Reads at the end of a partition; writing by what the broker says it allows. */
async function checkUse(
  connection: KafkaConnection,
  topic: TopicMetadata,
  clock: Clock,
): Promise<Check[]> {
  const what = `topic "${topic.name}"`
  const checks: Check[] = []
  if (!topic.operations.has('write'))
    checks.push({
      what,
      state: 'failed',
      found: 'writing is not allowed to this login',
      remedy: allow('Write', topic.name),
    })
  const leaderless = topic.partitions.filter(({ leader }) => leader < 0).length
  if (leaderless > 0)
    checks.push({
      what,
      state: 'failed',
      found: `${leaderless} partition(s) have no broker that leads them now`,
      remedy: 'start the brokers that keep them',
    })
  if (leaderless > 0) return checks
  const stop = new AbortController()
  const late = clock.sleep(REQUEST_MS, stop.signal).then(() => stop.abort())
  let answered = false
  try {
    const [range] = await topicOffsets(connection, topic.name)
    if (!range) return checks
    const from = { topic: topic.name, topicId: topic.id, partition: range.partition }
    const batches = readPartitions(connection, [{ ...from, offset: range.end }], stop.signal, {
      maxWaitMs: 0,
      onAnswer: () => {
        answered = true
        stop.abort()
      },
    })
    for await (const _ of batches) stop.abort()
    if (!answered)
      throw new KafkaError('lost', `cannot read topic "${topic.name}": no broker answered in time`)
  } catch (error) {
    const denied = error instanceof KafkaError && error.kind === 'denied'
    checks.push({
      what,
      state: 'failed',
      found: words(error),
      remedy: denied ? allow('Read', topic.name) : 'look whether its brokers run',
    })
  } finally {
    stop.abort()
    await late
  }
  return checks
}

async function checkCreate(
  connection: KafkaConnection,
  name: string,
  spec: TopicSpec,
  replication: number,
  found: KafkaError | undefined,
): Promise<Check> {
  const what = `topic "${name}"`
  if (found?.kind === 'denied')
    return { what, state: 'failed', found: words(found), remedy: allow('All', name) }
  try {
    await createTopic(connection, newTopic(name, spec, replication), { only: true })
    return { what, state: 'ok', found: 'not there yet; the start makes it' }
  } catch (error) {
    const denied = error instanceof KafkaError && error.kind === 'denied'
    return {
      what,
      state: 'failed',
      found: `not there, and it cannot be made: ${words(error)}`,
      remedy: denied ? allow('Create', name) : createCommand(name, spec, replication),
    }
  }
}

/** A place in a group of our own, taken and given back at once. */
async function checkGroup(
  connection: KafkaConnection,
  group: string,
  topic: string,
): Promise<Check> {
  const what = `group "${group}"`
  const member = new GroupMember(connection, {
    group,
    topic,
    sessionMs: 10_000,
    rebalanceMs: 10_000,
  })
  try {
    await joined(member)
    return { what, state: 'ok', found: 'joined and left' }
  } catch (error) {
    return {
      what,
      state: 'failed',
      found: words(error),
      remedy: `allow Read on groups that begin with "${group.replace(/doctor$/, '')}": kafka-acls.sh --add --allow-principal User:… --operation Read --group ${group.replace(/doctor$/, '')} --resource-pattern-type prefixed`,
    }
  } finally {
    await member.leave()
  }
}

/** Just after a start brokers do not agree yet who looks after a group. */
async function joined(member: GroupMember): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      await member.join([], [])
      return
    } catch (error) {
      const mayPass = error instanceof KafkaError && error.kind === 'lost'
      if (!mayPass || attempt === JOIN_TRIES) throw error
      await systemClock.sleep(JOIN_AGAIN_MS)
    }
}

function allow(operation: string, topic: string): string {
  return `kafka-acls.sh --bootstrap-server BROKER --add --allow-principal User:… --operation ${operation} --topic ${topic}`
}

function createCommand(name: string, spec: TopicSpec, replication: number): string {
  const { partitions, replicas, settings } = newTopic(name, spec, replication)
  const configs = Object.entries(settings).map(([setting, value]) => `--config ${setting}=${value}`)
  return (
    `kafka-topics.sh --bootstrap-server BROKER --create --topic ${name} ` +
    `--partitions ${partitions} --replication-factor ${replicas} ${configs.join(' ')}`
  )
}

function failedConnection(
  error: unknown,
  { connection }: Omit<KafkaBusOptions, 'clock'>,
): Omit<Check, 'what'> {
  const found = words(error)
  const kind = error instanceof KafkaError ? error.kind : 'lost'
  if (kind === 'denied')
    return {
      state: 'failed',
      found: `the login was refused: ${found}`,
      remedy: 'mend user, password or mechanism (sasl.jaas.config, sasl.mechanism)',
    }
  if (kind === 'unsupported')
    return { state: 'failed', found, remedy: 'upgrade the brokers to 3.1 or later' }
  const secured = connection.ssl !== undefined || connection.sasl !== undefined
  return {
    state: 'failed',
    found: `somebody listens and does not answer as Kafka: ${found}`,
    remedy: secured
      ? 'look whether this is a broker, whether its certificate is trusted (ssl.truststore.*) and whether its listener is of this security.protocol'
      : 'look whether this is a broker and whether its listener wants TLS or a login: set security.protocol',
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** @returns undefined when somebody listens */
function listens(address: string): Promise<string | undefined> {
  const to = parseAddress(address)
  if (!to) return Promise.resolve('not an address: host:port is asked for')
  return new Promise((resolve) => {
    const socket = connect({ ...to, timeout: CONNECT_MS })
    const end = (found: string | undefined) => (): void => {
      socket.destroy()
      resolve(found)
    }
    socket.once('connect', end(undefined))
    socket.once(
      'timeout',
      end(`no answer in ${CONNECT_MS / 1000} s: a firewall, or a wrong address`),
    )
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(CAUSES[error.code ?? ''] ?? error.message)(),
    )
  })
}

const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'no way to the host',
}
