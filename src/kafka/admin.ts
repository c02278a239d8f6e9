import type { KafkaConnection } from './connect.ts'
import { KafkaError } from './error.ts'
import { topicMetadata } from './metadata.ts'
import type { TopicMetadata } from './metadata.ts'

/** Id and partitions of each topic. @throws KafkaError missing, denied, lost */
export async function describeTopics(
  connection: KafkaConnection,
  topics: readonly string[],
): Promise<TopicMetadata[]> {
  const cluster = await connection.cluster()
  try {
    await cluster.addMultipleTargetTopics(topics)
    const [nodeId] = cluster.getNodeIds()
    if (nodeId === undefined) throw new KafkaError('lost', 'cannot ask Kafka: no broker is known')
    const broker = await cluster.findBroker({ nodeId })
    return await topicMetadata(broker, topics)
  } catch (error) {
    throw KafkaError.from(
      `cannot describe ${topics.map((topic) => `"${topic}"`).join(', ')}`,
      error,
    )
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
