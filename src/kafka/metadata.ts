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
  readonly partitions: readonly { readonly partition: number; readonly leader: number }[]
}

/** @throws KafkaError missing, denied, lost */
export async function topicMetadata(
  broker: WireBroker,
  topics: readonly string[],
): Promise<TopicMetadata[]> {
  let answers: Answer[]
  try {
    answers = await broker.connectionPool.send(metadataV10(topics))
  } catch (error) {
    throw KafkaError.from('cannot ask Kafka for its topics', error)
  }
  return answers.map(({ errorCode, topic }) => {
    if (errorCode === CODE.none) return topic
    if (errorCode === CODE.unknownTopic)
      throw new KafkaError('missing', `cannot read topic "${topic.name}": there is no such topic`)
    if (errorCode === CODE.authorizationFailed)
      throw new KafkaError('denied', `cannot read topic "${topic.name}": not allowed`)
    throw new KafkaError('lost', `cannot read topic "${topic.name}": error ${errorCode}`)
  })
}

interface Answer {
  readonly errorCode: number
  readonly topic: TopicMetadata
}

const NO_ID = '0'.repeat(32)

function metadataV10(topics: readonly string[]): WireProtocol<Answer[]> {
  const writer = new WireWriter().noTags()
  writer.compactArray(topics, (name) => writer.uuid(NO_ID).compactString(name).noTags())
  // No topic creation, no lists of permissions.
  writer.int8(0).int8(0).int8(0).noTags()
  return ownRequest('Metadata', 3, 10, writer, readAnswers)
}

function readAnswers(reader: WireReader): Answer[] {
  reader.compactArray(() => {
    reader.int32()
    reader.compactString()
    reader.int32()
    reader.compactString()
    reader.tags()
  })
  reader.compactString()
  reader.int32()
  return reader.compactArray(() => {
    const errorCode = reader.int16()
    const name = reader.compactString() ?? ''
    const id = reader.uuid()
    reader.int8()
    const partitions = reader.compactArray(() => {
      reader.int16()
      const partition = reader.int32()
      const leader = reader.int32()
      reader.int32()
      for (let list = 0; list < 3; list++) reader.compactArray(() => reader.int32())
      reader.tags()
      return { partition, leader }
    })
    reader.int32()
    reader.tags()
    return { errorCode, topic: { name, id, partitions } }
  })
}
