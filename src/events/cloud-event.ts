// A public event as a message: CloudEvents 1.0, binary mode of its Kafka binding. The attributes are
// headers, so that a reader chooses by `ce_type` without decoding; the value is Avro.

import type { BusMessage } from '../bus/bus.ts'
import { encode } from './avro.ts'
import { eventType, newest } from './catalogue.ts'
import type { SchemaVersion } from './catalogue.ts'
import type { PublicEvent } from './public-events.ts'

export interface CloudEventOptions {
  /** Begins `ce_source`: a URI, or the path of one. */
  readonly source: string
  /** Address of the schemas for `ce_dataschema`; left out without one. */
  readonly registryUrl?: string
  /** The partition of a key. */
  readonly partitionOf: (key: string) => number
}

/** Of one value: with its headers it fits the topic's messages (bus/topics.ts). */
const MAX_VALUE_BYTES = 1_000_000

export function cloudEvent(
  project: string,
  event: PublicEvent,
  { source, registryUrl, partitionOf }: CloudEventOptions,
): BusMessage {
  const schema = newest(eventType(event.type))
  const whole = encode(schema, event.data)
  const isShort = whole.length > MAX_VALUE_BYTES
  return {
    partition: partitionOf(event.key),
    key: event.key,
    headers: {
      ce_specversion: '1.0',
      ce_id: event.id,
      ce_source: `${source}/projects/${project}`,
      ce_type: event.type,
      ce_subject: event.subject,
      ce_time: rfc3339(event.atMs),
      ...(registryUrl === undefined
        ? {}
        : { ce_dataschema: `${registryUrl}/schemas/ids/${schema.id}` }),
      'content-type': 'application/avro',
      'varve-schema-fingerprint': schema.fingerprint,
      ...(isShort ? { 'varve-shortened': 'true' } : {}),
    },
    value: isShort ? encode(schema, shortened(schema, event.data)) : whole,
  }
}

/**
 * A commit made from ten thousand branches does not fit a message, and must not stop those behind it:
 * it is told without what has a default. The API knows the rest.
 */
function shortened({ schema }: SchemaVersion, data: PublicEvent['data']): PublicEvent['data'] {
  const defaults = schema.fields.flatMap(({ name, type, default: value }) =>
    value === undefined || (Array.isArray(type) && type[1] === 'string') ? [] : [[name, value]],
  )
  return { ...data, ...(Object.fromEntries(defaults) as PublicEvent['data']) }
}

const DAY_MS = 86_400_000

/** `2026-01-31T12:00:00.000Z` of milliseconds since 1970, through the year 9999. */
export function rfc3339(ms: number): string {
  const days = Math.floor(ms / DAY_MS)
  const rest = ms - days * DAY_MS
  // Days from 0000-03-01, so that a leap day is the last of its year; 146,097 days are 400 years.
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const day = z - era * 146_097
  const year = Math.floor(
    (day - Math.floor(day / 1460) + Math.floor(day / 36_524) - Math.floor(day / 146_096)) / 365,
  )
  const ofYear = day - (365 * year + Math.floor(year / 4) - Math.floor(year / 100))
  const shifted = Math.floor((5 * ofYear + 2) / 153)
  const dayOfMonth = ofYear - Math.floor((153 * shifted + 2) / 5) + 1
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const text = (value: number, width: number): string => String(value).padStart(width, '0')
  const date = [
    text(year + era * 400 + (month <= 2 ? 1 : 0), 4),
    text(month, 2),
    text(dayOfMonth, 2),
  ]
  const time = [rest / 3_600_000, (rest / 60_000) % 60, (rest / 1000) % 60]
  const clock = time.map((part) => text(Math.floor(part), 2)).join(':')
  return `${date.join('-')}T${clock}.${text(Math.floor(rest % 1000), 3)}Z`
}
