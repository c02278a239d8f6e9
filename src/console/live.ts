// Keeps the page in step with the server: one answer, then its stream, again and again for as long
// as the page lives. A lost connection is said once and mended without anybody's help.

import type { Graph, GraphEvent } from '../api/graph.ts'
import { StreamParser, graphEventOf } from './event-stream.ts'
import type { StreamMessage } from './event-stream.ts'
import type { Link } from './river-state.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 8000
/** A server that has sent comments as a sign of life is gone when it is silent for this long. */
const SILENCE_MS = 45_000

export interface LiveOptions {
  readonly project: string
  readonly fetch: typeof fetch
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly onEvent: (event: GraphEvent) => void
  readonly onLink: (link: Link) => void
  readonly signal: AbortSignal
}

class Refused extends Error {
  readonly link: Link
  constructor(link: Link) {
    super(link.problem?.text ?? 'refused')
    this.link = link
  }
}

/** Runs until the signal; never rejects. */
export async function followGraph(options: LiveOptions): Promise<void> {
  const base = `/api/v1/projects/${encodeURIComponent(options.project)}/graph`
  let lastId: string | null = null
  let pauseMs = FIRST_PAUSE_MS
  while (!options.signal.aborted) {
    let link = LOST
    try {
      if (lastId === null) {
        const graph = (await (await ask(base, {}, options)).json()) as Graph
        options.onEvent({ type: 'graph', graph })
        lastId = String(graph.seq)
      }
      const headers = { accept: 'text/event-stream', 'last-event-id': lastId }
      const answer = await ask(`${base}/live`, headers, options)
      options.onLink({ state: 'live', problem: null })
      pauseMs = FIRST_PAUSE_MS
      for await (const message of messagesOf(answer, options)) {
        if (message.id !== null) lastId = message.id
        const event = graphEventOf(message)
        if (event) options.onEvent(event)
      }
    } catch (error) {
      if (error instanceof Refused) link = error.link
    }
    if (options.signal.aborted) return
    options.onLink(link)
    if (link !== LOST) pauseMs = LONGEST_PAUSE_MS
    await options.sleep(pauseMs, options.signal)
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)
  }
}

const LOST: Link = {
  state: 'lost',
  problem: {
    code: 'UNAVAILABLE',
    text: 'connection lost',
    remedy: 'the page resumes by itself when the server answers',
  },
}

async function ask(
  address: string,
  headers: Record<string, string>,
  options: LiveOptions,
): Promise<Response> {
  const answer = await options.fetch(address, {
    headers,
    signal: options.signal,
    credentials: 'same-origin',
    cache: 'no-store',
  })
  if (answer.ok) return answer
  if (answer.status >= 500) throw new Error(`HTTP ${answer.status}`)
  const body = (await answer.json().catch(() => ({}))) as Record<string, unknown>
  const word = (name: string, otherwise: string): string =>
    typeof body[name] === 'string' ? body[name] : otherwise
  throw new Refused({
    state: 'refused',
    problem: {
      code: word('code', `HTTP ${answer.status}`),
      text: word('detail', word('title', `cannot read the graph: HTTP ${answer.status}`)),
      remedy: word('remedy', 'open the address that varve dev printed: it carries the token'),
    },
  })
}

async function* messagesOf(
  answer: Response,
  options: LiveOptions,
): AsyncGenerator<StreamMessage> {
  if (answer.body === null) return
  const reader = answer.body.getReader()
  const decoder = new TextDecoder()
  const parser = new StreamParser()
  let beats = false
  try {
    for (;;) {
      const heard = new AbortController()
      const read = reader.read()
      const silence = options.sleep(SILENCE_MS, heard.signal).then(() => undefined)
      const part = await (beats ? Promise.race([read, silence]) : read)
      heard.abort()
      if (part === undefined || part.done) return
      const text = decoder.decode(part.value, { stream: true })
      beats ||= text.startsWith(':')
      yield* parser.push(text)
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
