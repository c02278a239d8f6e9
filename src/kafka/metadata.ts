// Which topics there are, with the ids that tell a recreated topic from the old one (Metadata v10).

import { CODE, Refused } from './error.ts'
import type { KafkaError } from './error.ts'
import { request } from './request.ts'
import type { Request } from './request.ts'
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

export interface ClusterMetadata {
  readonly brokers: readonly { readonly nodeId: number; readonly address: string }[]
  /** The broker that makes topics. */
  readonly controller: number
  /** By name; an error for a topic that cannot be described (missing, denied, lost). */
  readonly topics: ReadonlyMap<string, TopicMetadata | KafkaError>
  /** What the one who asks may do with the cluster. */
  readonly operations: Operations
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

const NO_ID = '0'.repeat(32)

export function metadataOf(topics: readonly string[]): Request<ClusterMetadata> {
  const writer = new WireWriter()
  writer.compactArray(topics, (name) => writer.uuid(NO_ID).compactString(name).noTags())
  // No topic creation; what the cluster and the topics allow us.
  writer.int8(0).int8(1).int8(1).noTags()
  return request('Metadata', writer, readMetadata)
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
  const controller = reader.int32()
  const topics = reader.compactArray(() => readTopic(reader))
  const operations = new Operations(reader.int32())
  return { brokers, controller, topics: new Map(topics), operations }
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
  return [name, new Refused(`cannot use topic "${name}"`, errorCode)]
}
