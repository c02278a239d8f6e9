// Keeps the page in step with the server: one answer, then its stream, again and again for as long
// as the page lives. A lost connection is said once and mended without anybody's help. (The client's
// own `events` mends silently; a page has to say it.)

import type { Graph, GraphEvent } from '../api/graph.ts'
import { VarveError, isVarveError } from '../base/errors.ts'
import { problemOf } from '../client/problem.ts'
import type { ServerEvent } from '../client/streams.ts'
import { serverEvents } from '../client/streams.ts'
import type { Link } from './river-state.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 8000
/** The server gives a sign of life every 15 s; three missed ones and the connection is dead. */
const SILENCE_MS = 45_000

export interface LiveOptions {
  readonly project: string
  readonly fetch: (address: string, init: RequestInit) => Promise<Response>
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly onEvent: (event: GraphEvent) => void
  readonly onLink: (link: Link) => void
  readonly signal: AbortSignal
}

/** Runs until the signal; never rejects. */
export async function followGraph(options: LiveOptions): Promise<void> {
  const base = `/api/v1/projects/${encodeURIComponent(options.project)}/graph`
  let lastId: string | undefined
  let pauseMs = FIRST_PAUSE_MS
  while (!options.signal.aborted) {
    let link = LOST
    const attempt = new AbortController()
    const signal = AbortSignal.any([options.signal, attempt.signal])
    try {
      if (lastId === undefined) {
        const graph = (await (await ask(base, {}, options, signal)).json()) as Graph
        options.onEvent({ type: 'graph', graph })
        lastId = String(graph.seq)
      }
      const headers = { accept: 'text/event-stream', 'last-event-id': lastId }
      const answer = await ask(`${base}/live`, headers, options, signal)
      options.onLink({ state: 'live', problem: null })
      pauseMs = FIRST_PAUSE_MS
      const watched = new Response(answer.body?.pipeThrough(watchdog(options, attempt)) ?? null)
      for await (const message of serverEvents<unknown>(watched)) {
        const event = graphEventOf(message)
        if (event) options.onEvent(event)
        // Only what was taken in counts as seen.
        if (message.id !== undefined) lastId = message.id
      }
    } catch (error) {
      if (isVarveError(error) && !error.spec.retry) link = refused(error)
    } finally {
      attempt.abort()
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
    text: 'Connection lost',
    remedy: 'the page resumes by itself when the server answers',
  },
}

function refused(error: VarveError): Link {
  const remedy =
    error.code === 'UNAUTHENTICATED'
      ? 'open the address that the server printed at its start: it carries the token'
      : error.spec.remedy
  return { state: 'refused', problem: { code: error.code, text: error.message, remedy } }
}

async function ask(
  address: string,
  headers: Record<string, string>,
  { fetch }: LiveOptions,
  signal: AbortSignal,
): Promise<Response> {
  const answer = await fetch(address, { headers, signal, cache: 'no-store' })
  if (answer.ok) return answer
  // A proxy's page about a server that is away is no answer of ours: go on trying.
  if (answer.status >= 500) throw new VarveError('UNAVAILABLE', `HTTP ${answer.status}`)
  throw await problemOf(answer)
}

/** Ends the attempt when nothing, not even a sign of life, has come for too long. */
function watchdog(
  { sleep }: LiveOptions,
  attempt: AbortController,
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let heard = new AbortController()
  const listen = (): void => {
    heard.abort()
    if (attempt.signal.aborted) return
    heard = new AbortController()
    const { signal } = heard
    void sleep(SILENCE_MS, signal).then(() => {
      if (!signal.aborted) attempt.abort()
    })
  }
  attempt.signal.addEventListener('abort', () => heard.abort())
  return new TransformStream({
    start: listen,
    transform: (chunk, controller) => {
      listen()
      controller.enqueue(chunk)
    },
  })
}

/** @throws VarveError a problem met mid-stream. Undefined for what this page does not know: a newer server may say more. */
export function graphEventOf(message: ServerEvent<unknown>): GraphEvent | undefined {
  const whole = message.data as Record<string, unknown>
  if (message.event === 'problem') throw new VarveError('UNAVAILABLE', String(whole['detail']))
  const type = message.event === 'message' ? whole['type'] : message.event
  if (type !== 'graph' && type !== 'node' && type !== 'commit' && type !== 'job') return undefined
  // The value may come bare or as `{type, [type]: value}`.
  const inner = whole['type'] === type && typeof whole[type] === 'object' ? whole[type] : whole
  return { type, [type]: inner } as unknown as GraphEvent
}
