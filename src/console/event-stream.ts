// Server-sent events read from a fetch, not by EventSource: only a fetch can send Last-Event-ID of
// its own choosing, hear why it was refused, and notice that a silent connection is a dead one.

import type { GraphEvent } from '../api/graph.ts'

export interface StreamMessage {
  readonly event: string
  readonly data: string
  readonly id: string | null
}

/** Feeds text in as it comes; gives whole messages back. A comment (`:`) counts as a sign of life only. */
export class StreamParser {
  #rest = ''
  #event = ''
  #data: string[] = []
  #id: string | null = null

  push(text: string): readonly StreamMessage[] {
    const messages: StreamMessage[] = []
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0)
          messages.push({
            event: this.#event === '' ? 'message' : this.#event,
            data: this.#data.join('\n'),
            id: this.#id,
          })
        this.#event = ''
        this.#data = []
        continue
      }
      const colon = line.indexOf(':')
      if (colon === 0) continue
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'event') this.#event = value
      else if (field === 'data') this.#data.push(value)
      else if (field === 'id' && !value.includes('\0')) this.#id = value
    }
    return messages
  }
}

/** Undefined for a message this page does not know: a newer server may say more. */
export function graphEventOf(message: StreamMessage): GraphEvent | undefined {
  const value: unknown = JSON.parse(message.data)
  if (typeof value !== 'object' || value === null) return undefined
  const whole = value as Record<string, unknown>
  const type = message.event === 'message' ? whole['type'] : message.event
  if (type !== 'graph' && type !== 'node' && type !== 'commit' && type !== 'job') return undefined
  // The value may come bare or wrapped in `{type, [type]: value}`.
  const inner = whole['type'] === type && typeof whole[type] === 'object' ? whole[type] : whole
  return { type, [type]: inner } as unknown as GraphEvent
}
