// Which topics there are, with the ids that tell a recreated topic from the old one (Metadata v10).

import { CODE, KafkaError } from './error.ts'
import type { WireBroker, WireProtocol } from './kafkajs.ts'
import { ownRequest } from './own-request.ts'
import type { WireReader } from './wire.ts'
import { WireWriter } from './wire.ts'

export interface TopicMetadata {
  readonly name: string
  /** 32 hex digits; another one after the topic was deleted and created again. */
  readonly id: string
  readonly partitions: readonly {
    readonly partition: number
    /** Its broker; -1: none now. */
    readonly leader: number
    /** How many brokers keep it. */
    readonly replicas: number
  }[]
  /** What the one who asks may do with it. */
  readonly operations: Operations
}

/** @throws KafkaError missing, denied, lost */
export async function topicMetadata(
  broker: WireBroker,
  topics: readonly string[],
): Promise<TopicMetadata[]> {
  const { topics: answers } = await clusterMetadata(broker, topics)
  return topics.map((topic) => {
    const answer = answers.get(topic) ?? notSaid(topic)
    if (answer instanceof KafkaError) throw answer
    return answer
  })
}

export interface ClusterMetadata {
  readonly brokers: readonly { readonly nodeId: number; readonly address: string }[]
  /** By name; an error for a topic that cannot be described (missing, denied, lost). */
  readonly topics: ReadonlyMap<string, TopicMetadata | KafkaError>
  /** What the one who asks may do with the cluster. */
  readonly operations: Operations
}

/** @throws KafkaError lost, unsupported */
export async function clusterMetadata(
  broker: WireBroker,
  topics: readonly string[],
): Promise<ClusterMetadata> {
  const { minVersion = 0, maxVersion = 0 } = broker.versions[API] ?? {}
  if (minVersion > VERSION || maxVersion < VERSION)
    throw new KafkaError('unsupported', 'cannot ask this Kafka: brokers of 3.1 and later only')
  try {
    return await broker.connectionPool.send(metadataV10(topics))
  } catch (error) {
    throw KafkaError.from('cannot ask Kafka for its topics', error)
  }
}

/** Operations an access list allows, as bits by their numbers in the protocol. */
export class Operations {
  readonly #bits: number

  constructor(bits: number) {
    this.#bits = bits
  }

  /** True as well when the broker does not say. */
  has(operation: keyof typeof OPERATION): boolean {
    if (this.#bits === NOT_SAID) return true
    return (this.#bits & (1 << OPERATION[operation])) !== 0
  }
}

const OPERATION = { read: 3, write: 4, create: 5, describe: 8, describeConfigs: 10 } as const
const NOT_SAID = -2_147_483_648

const API = 3
const VERSION = 10
const NO_ID = '0'.repeat(32)

function metadataV10(topics: readonly string[]): WireProtocol<ClusterMetadata> {
  const writer = new WireWriter().noTags()
  writer.compactArray(topics, (name) => writer.uuid(NO_ID).compactString(name).noTags())
  // No topic creation; what the cluster and the topics allow us.
  writer.int8(0).int8(1).int8(1).noTags()
  return ownRequest('Metadata', API, VERSION, writer, readMetadata)
}

function readMetadata(reader: WireReader): ClusterMetadata {
  const brokers = reader.compactArray(() => {
    const nodeId = reader.int32()
    const address = `${reader.compactString()}:${reader.int32()}`
    reader.compactString()
    reader.tags()
    return { nodeId, address }
  })
  reader.compactString()
  reader.int32()
  const topics = reader.compactArray(() => readTopic(reader))
  return { brokers, topics: new Map(topics), operations: new Operations(reader.int32()) }
}

function readTopic(reader: WireReader): [string, TopicMetadata | KafkaError] {
  const errorCode = reader.int16()
  const name = reader.compactString() ?? ''
  const id = reader.uuid()
  reader.int8()
  const partitions = reader.compactArray(() => {
    reader.int16()
    const partition = reader.int32()
    const leader = reader.int32()
    reader.int32()
    const [replicas = []] = [0, 1, 2].map(() => reader.compactArray(() => reader.int32()))
    reader.tags()
    return { partition, leader, replicas: replicas.length }
  })
  const operations = new Operations(reader.int32())
  reader.tags()
  if (errorCode === CODE.none) return [name, { name, id, partitions, operations }]
  return [name, refusal(name, errorCode)]
}

function refusal(name: string, errorCode: number): KafkaError {
  if (errorCode === CODE.unknownTopic)
    return new KafkaError('missing', `cannot read topic "${name}": there is no such topic`)
  if (errorCode === CODE.authorizationFailed)
    return new KafkaError('denied', `cannot read topic "${name}": not allowed`)
  return new KafkaError('lost', `cannot read topic "${name}": error ${errorCode}`)
}

function notSaid(name: string): KafkaError {
  return new KafkaError('lost', `cannot read topic "${name}": the broker did not say`)
}
