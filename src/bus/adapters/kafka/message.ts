import type { KafkaRecord } from '../../../kafka/records.ts'
import type { BusMessage } from '../../bus.ts'

const EMPTY = new Uint8Array(0)

export function messageOf(partition: number, record: KafkaRecord): BusMessage {
  const headers: Record<string, string> = {}
  for (const [name, bytes] of record.headers) headers[name] = bytes?.toString() ?? ''
  return {
    partition,
    key: record.key?.toString() ?? '',
    headers,
    value: record.value ?? EMPTY,
  }
}
