// What is rung on the topic of datums. All of it may be lost: rows and plans hold the truth.

import { fromUtf8, utf8 } from '../base/bytes.ts'
import type { Bus, BusMessage, Subscription } from '../bus/bus.ts'
import { TOPICS } from '../bus/bus.ts'
import type { ChunkKey } from '../model/datum.ts'

export type Ring =
  | { readonly kind: 'done'; readonly chunk: ChunkKey }
  | { readonly kind: 'ready'; readonly chunk: ChunkKey }
  | { readonly kind: 'taken'; readonly chunk: ChunkKey; readonly owner: string }
  /** Datums of a chunk that are through so far. */
  | {
      readonly kind: 'progress'
      readonly chunk: ChunkKey
      readonly done: number
      readonly failed: number
    }

export async function ring(bus: Bus, what: Ring): Promise<void> {
  const message: BusMessage = {
    partition: 0,
    key: `${what.chunk.project}/${what.chunk.pipeline}`,
    headers: {},
    value: utf8(JSON.stringify(what)),
  }
  // Nobody may depend on it, so nobody may fail because of it.
  await bus.publish(TOPICS.datums, [message]).catch(() => {})
}

export function hearRings(bus: Bus, handler: (what: Ring) => void): Subscription {
  return bus.subscribe(TOPICS.datums, { tail: true }, (messages) => {
    for (const message of messages) handler(JSON.parse(fromUtf8(message.value)) as Ring)
    return Promise.resolve()
  })
}
