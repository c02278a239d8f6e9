// AsyncAPI 3.0 of the topic, from the catalogue: what tools and people read to learn what comes.

import { TOPICS } from '../bus/bus.ts'
import { eventTypes, newest } from './catalogue.ts'
import type { EventType } from './catalogue.ts'

const HEADERS = {
  ce_specversion: 'Version of CloudEvents: 1.0',
  ce_id: '<project>:<generation>:<seq>.<n>: the same when an event comes again',
  ce_source: 'The installation and the project',
  ce_type: 'The type of the event; skip those you do not know',
  ce_subject: 'What it is about: project/repo@branch=commit, project/pipeline and so on',
  ce_time: 'Log time, RFC 3339',
  'content-type': 'application/avro',
  'varve-schema-fingerprint': 'CRC-64-AVRO of the schema in canonical form, 16 hex digits',
  'varve-shortened':
    'true: too large for a message, told without its lists and maps; the API has the whole',
} as const

/** A value for JSON or YAML. `version` is the product's. */
export function asyncapi(version: string): Record<string, unknown> {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Varve public events',
      version,
      description:
        'Facts of the log, told at least once and in order within a project and key: CloudEvents 1.0 ' +
        'in binary mode, values in Avro behind the five bytes of Confluent. The server answers the ' +
        'read-only part of the schema registry API below /registry.',
    },
    defaultContentType: 'application/avro',
    channels: {
      events: {
        address: TOPICS.events,
        description: 'The prefix before the first dot is that of the installation',
        messages: Object.fromEntries(eventTypes().map((one) => [nameOf(one), { $ref: ref(one) }])),
      },
    },
    operations: {
      publishEvents: {
        action: 'send',
        channel: { $ref: '#/channels/events' },
        summary: 'Varve tells what happened',
      },
    },
    components: {
      messages: Object.fromEntries(eventTypes().map((one) => [nameOf(one), message(one)])),
      messageTraits: {
        cloudEvent: {
          headers: {
            type: 'object',
            properties: Object.fromEntries(
              Object.entries(HEADERS).map(([name, description]) => [
                name,
                { type: 'string', description },
              ]),
            ),
          },
        },
      },
    },
  }
}

function message(one: EventType): Record<string, unknown> {
  const { id, schema } = newest(one)
  return {
    name: one.type,
    title: nameOf(one),
    summary: one.doc,
    contentType: 'application/avro',
    traits: [{ $ref: '#/components/messageTraits/cloudEvent' }],
    payload: { schemaFormat: 'application/vnd.apache.avro;version=1.9.0', schema },
    bindings: {
      kafka: {
        key: { type: 'string', description: '`project/repo`, or `project/` and another name' },
        schemaIdLocation: 'payload',
        schemaIdPayloadEncoding: 'confluent',
        schemaLookupStrategy: 'TopicRecordNameStrategy',
        bindingVersion: '0.5.0',
      },
    },
    'x-schema-id': id,
  }
}

function nameOf({ fullName }: EventType): string {
  return fullName.slice(fullName.lastIndexOf('.') + 1)
}

function ref(one: EventType): string {
  return `#/components/messages/${nameOf(one)}`
}
