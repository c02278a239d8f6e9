import type { Admin } from 'kafkajs'
import type { KafkaConnection } from './connect.ts'
import { KafkaError } from './error.ts'
import { topicMetadata } from './metadata.ts'
import type { TopicMetadata } from './metadata.ts'

/** Id and partitions of each topic. @throws KafkaError missing, denied, lost, unsupported */
export async function describeTopics(
  connection: KafkaConnection,
  topics: readonly string[],
): Promise<TopicMetadata[]> {
  try {
    return await topicMetadata(await connection.broker(), topics)
  } catch (error) {
    throw KafkaError.from(
      `cannot describe ${topics.map((topic) => `"${topic}"`).join(', ')}`,
      error,
    )
  }
}

export interface NewTopic {
  readonly name: string
  readonly partitions: number
  readonly replicas: number
  readonly settings: Readonly<Record<string, string>>
}

/**
 * Creates it; one that is there already is left as it is. Brokers may not know it for a moment.
 * @param options.only check whether it could be made (also the permission), and make nothing
 * @throws KafkaError denied, unsupported (fewer brokers than replicas, a setting refused), lost
 */
export async function createTopic(
  connection: KafkaConnection,
  topic: NewTopic,
  options: { readonly only?: boolean } = {},
): Promise<'created' | 'there'> {
  try {
    return await withAdmin(connection, async (admin) => {
      const created = await admin.createTopics({
        validateOnly: options.only === true,
        // The client would take what brokers say in the meantime for a failure.
        waitForLeaders: false,
        topics: [
          {
            topic: topic.name,
            numPartitions: topic.partitions,
            replicationFactor: topic.replicas,
            configEntries: Object.entries(topic.settings).map(([name, value]) => ({ name, value })),
          },
        ],
      })
      return created ? 'created' : 'there'
    })
  } catch (error) {
    throw KafkaError.from(`cannot create topic "${topic.name}"`, error)
  }
}

/** Settings in force, by name of topic. @throws KafkaError denied, missing, lost */
export async function topicSettings(
  connection: KafkaConnection,
  topics: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  if (topics.length === 0) return new Map()
  const TOPIC = 2
  try {
    const { resources } = await withAdmin(connection, (admin) =>
      admin.describeConfigs({
        includeSynonyms: false,
        resources: topics.map((name) => ({ type: TOPIC, name })),
      }),
    )
    return new Map(
      resources.map(({ resourceName, configEntries }) => [
        resourceName,
        Object.fromEntries(configEntries.map((entry) => [entry.configName, entry.configValue])),
      ]),
    )
  } catch (error) {
    throw KafkaError.from('cannot read the settings of topics', error)
  }
}

async function withAdmin<T>(
  connection: KafkaConnection,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = connection.client.admin()
  try {
    await admin.connect()
    return await work(admin)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

export interface OffsetRange {
  readonly partition: number
  /** The first offset the broker keeps. */
  readonly start: number
  /** The next offset readers of committed records will see. */
  readonly end: number
}

/** @throws KafkaError missing, denied, lost */
export async function topicOffsets(
  connection: KafkaConnection,
  topic: string,
): Promise<OffsetRange[]> {
  const cluster = await connection.cluster()
  try {
    await cluster.addMultipleTargetTopics([topic])
    await cluster.refreshMetadata()
    const partitions = cluster
      .findTopicPartitionMetadata(topic)
      .map(({ partitionId }) => ({ partition: partitionId }))
    const starts = await offsets(cluster, topic, partitions, true)
    const ends = await offsets(cluster, topic, partitions, false)
    return partitions.map(({ partition }) => ({
      partition,
      start: starts.get(partition) ?? 0,
      end: ends.get(partition) ?? 0,
    }))
  } catch (error) {
    throw KafkaError.from(`cannot ask for the offsets of "${topic}"`, error)
  }
}

async function offsets(
  cluster: Awaited<ReturnType<KafkaConnection['cluster']>>,
  topic: string,
  partitions: readonly { partition: number }[],
  fromBeginning: boolean,
): Promise<Map<number, number>> {
  const [answer] = await cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning }])
  return new Map((answer?.partitions ?? []).map((one) => [one.partition, Number(one.offset)]))
}
