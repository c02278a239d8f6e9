// Reading answers piece by piece.

import type { Problem } from '../api/shapes.ts'
import { VarveError } from '../base/errors.ts'
import { fromProblem } from './problem.ts'

export interface ServerEvent<T> {
  readonly id: string | undefined
  readonly event: string
  readonly data: T
}

/** The body's chunks. @throws VarveError UNAVAILABLE when the connection ends before the body does */
export async function* bodyChunks(response: Response): AsyncGenerator<Uint8Array> {
  if (!response.body) return
  const reader = response.body.getReader()
  let ended = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      yield value as Uint8Array
    }
    ended = true
  } catch (error) {
    ended = true
    throw new VarveError('UNAVAILABLE', 'cannot read on: the connection was lost', {
      cause: error,
    })
  } finally {
    // A caller that stops early must not leave the transfer running.
    if (!ended) await reader.cancel().catch(() => undefined)
  }
}

async function* textLines(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of bodyChunks(response)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

/** NDJSON values. A last line `{"problem": …}` is an error met after the first byte was sent. */
export async function* jsonLines(response: Response): AsyncGenerator<unknown> {
  for await (const line of textLines(response)) {
    if (line === '') continue
    const value = JSON.parse(line) as { problem?: Problem }
    if (value.problem) throw fromProblem(value.problem)
    yield value
  }
}

/** Events of a `text/event-stream`; comments keep the connection alive and are not seen. */
export async function* serverEvents<T>(response: Response): AsyncGenerator<ServerEvent<T>> {
  let id: string | undefined
  let event = 'message'
  let data: string[] = []
  for await (const raw of textLines(response)) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    if (line === '') {
      if (data.length > 0) yield { id, event, data: JSON.parse(data.join('\n')) as T }
      event = 'message'
      data = []
      continue
    }
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'id') id = value
    if (field === 'event') event = value
    if (field === 'data') data.push(value)
  }
}
