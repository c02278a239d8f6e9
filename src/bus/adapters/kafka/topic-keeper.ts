// Our topics on the brokers: made when they are missing, also while we run, and refused when they are
// kept in another way than the product needs.

import { systemClock } from '../../../base/clock.ts'
import { VarveError } from '../../../base/errors.ts'
import { createTopic, describeTopics, topicSettings } from '../../../kafka/admin.ts'
import type { KafkaConnection } from '../../../kafka/connect.ts'
import { KafkaError } from '../../../kafka/error.ts'
import type { TopicMetadata } from '../../../kafka/metadata.ts'
import type { TopicSpec } from '../../topics.ts'
import { say } from './diagnostics.ts'
import { driftOf, newTopic } from './topic-settings.ts'

export interface KeeperOptions {
  readonly connection: KafkaConnection
  /** Stands for the first `varve` of a topic's name. */
  readonly topicPrefix: string
  /** Copies of each topic that is made. */
  readonly replication: number
  /** By the product's names. */
  readonly specs: Readonly<Record<string, TopicSpec>>
}

/** How long brokers may take to know a topic that was made. */
const KNOWN_MS = 20_000
const LOOK_MS = 100

export class TopicKeeper {
  readonly #options: KeeperOptions
  /** By name on the brokers. */
  readonly #specs: ReadonlyMap<string, TopicSpec>
  #making: Promise<void> | undefined

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#specs = new Map(
      Object.entries(options.specs).map(([topic, spec]) => [this.nameOf(topic), spec]),
    )
  }

  /** `varve.log.v1` with the prefix `x` is `x.log.v1` on the brokers. */
  nameOf(topic: string): string {
    const { topicPrefix } = this.#options
    return topic.startsWith('varve.')
      ? `${topicPrefix}${topic.slice('varve'.length)}`
      : `${topicPrefix}.${topic}`
  }

  /**
   * Makes what is missing and verifies what is there.
   * @throws VarveError UNAVAILABLE; MISCONFIGURED: not let in, not permitted, or a topic is kept in a
   * way we cannot work with
   */
  async ensure(): Promise<void> {
    try {
      await this.#make()
      await soon(() => this.#verify())
    } catch (error) {
      throw startError('cannot use the topics of Kafka', error)
    }
  }

  /** The topic on the brokers; made again when it is missing and ours. @throws KafkaError */
  async describe(name: string): Promise<TopicMetadata> {
    try {
      return await this.#describe(name)
    } catch (error) {
      if (!(error instanceof KafkaError) || error.kind !== 'missing') throw error
      if (this.#specs.has(name)) await this.remake()
      return this.#describe(name)
    }
  }

  async #describe(name: string): Promise<TopicMetadata> {
    const [topic] = await describeTopics(this.#options.connection, [name])
    if (!topic) throw new KafkaError('lost', `cannot describe "${name}"`)
    return topic
  }

  /** Makes what is missing; those who ask at once wait for one making. @throws KafkaError */
  async remake(): Promise<void> {
    this.#making ??= this.#make()
      .then((made) => {
        for (const topic of made)
          say('anomaly', { what: 'a topic was missing and was made', topic })
      })
      .finally(() => {
        this.#making = undefined
      })
    await this.#making
  }

  /** @returns what was missing, once brokers know it */
  async #make(): Promise<string[]> {
    const { connection, replication } = this.#options
    const names = [...this.#specs.keys()]
    const { brokers, topics } = await connection.metadata(names)
    const missing: string[] = []
    for (const [name, spec] of this.#specs) {
      const found = topics.get(name)
      if (!(found instanceof KafkaError)) continue
      if (found.kind !== 'missing') throw found
      if (brokers.length < replication)
        throw new KafkaError(
          'unsupported',
          `cannot create topic "${name}" with ${replication} copies on ${brokers.length} ` +
            `broker(s): start more brokers, or set VARVE_REPLICATION to at most ${brokers.length}`,
        )
      await createTopic(connection, newTopic(name, spec, replication))
      missing.push(name)
    }
    await this.#known(missing)
    return missing
  }

  /** Waits until each of these has a leader for every partition. */
  async #known(names: readonly string[]): Promise<void> {
    const endMs = systemClock.monotonicMs() + KNOWN_MS
    while (names.length > 0) {
      const { topics } = await this.#options.connection.metadata(names)
      const unknown = names.find((name) => {
        const topic = topics.get(name)
        return !topic || topic instanceof KafkaError || topic.partitions.some((p) => p.leader < 0)
      })
      if (unknown === undefined) return
      if (systemClock.monotonicMs() > endMs)
        throw new KafkaError('lost', `topic "${unknown}" was made, and has no leaders yet`)
      await systemClock.sleep(LOOK_MS)
    }
  }

  async #verify(): Promise<void> {
    const { connection, replication } = this.#options
    const names = [...this.#specs.keys()]
    if (names.length === 0) return
    const described = await describeTopics(connection, names)
    const settings = await topicSettings(connection, names)
    const wrong = described.flatMap(({ name, partitions }) => {
      const spec = this.#specs.get(name)
      if (!spec) return []
      const kept = {
        partitions: partitions.length,
        replicas: Math.min(...partitions.map((one) => one.replicas)),
        settings: settings.get(name) ?? {},
      }
      return driftOf(name, spec, kept, replication)
        .filter((drift) => drift.warning !== true)
        .map(({ found, remedy }) => `topic "${name}": ${found}; to mend it: ${remedy}`)
    })
    if (wrong.length > 0)
      throw new VarveError('MISCONFIGURED', `cannot use the topics of Kafka: ${wrong.join('; ')}`)
  }
}

/** Each broker learns by itself of a topic that was made: some may not know yet what another said. */
async function soon(work: () => Promise<void>): Promise<void> {
  const endMs = systemClock.monotonicMs() + KNOWN_MS
  for (;;)
    try {
      return await work()
    } catch (error) {
      const passes = error instanceof KafkaError && error.kind === 'missing'
      if (!passes || systemClock.monotonicMs() > endMs) throw error
      await systemClock.sleep(LOOK_MS)
    }
}

/** What a start meets: what only an operator can mend is told from what may pass. */
function startError(doing: string, error: unknown): VarveError {
  const met = busError(doing, error)
  const { kind } = KafkaError.from(doing, error)
  const isTls = /certificate|self.signed|altname/i.test(met.message)
  if (met.code !== 'UNAVAILABLE' || !(kind === 'denied' || kind === 'unsupported' || isTls))
    return met
  return new VarveError('MISCONFIGURED', met.message, { cause: error })
}

/** What a user of the port meets. */
export function busError(doing: string, error: unknown): VarveError {
  if (error instanceof VarveError) return error
  const known = KafkaError.from(doing, error)
  const code = known.kind === 'too-large' ? 'TOO_LARGE' : 'UNAVAILABLE'
  const text = known.message.startsWith(doing) ? known.message : `${doing}: ${known.message}`
  return new VarveError(code, text, { cause: error })
}
