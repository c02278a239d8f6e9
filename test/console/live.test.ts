import { expect, test } from 'vitest'
import type { GraphEvent } from '../../src/api/graph.ts'
import { followGraph, graphEventOf } from '../../src/console/live.ts'
import type { Link } from '../../src/console/river-state.ts'
import { metricsRiver } from './rivers.ts'

const graph = metricsRiver(1e12)
const node = graph.nodes[0]

function stream(text: string): Response {
  return new Response(text, { headers: { 'content-type': 'text/event-stream' } })
}

/** Follows through the given answers, one a request, then stops. */
async function follow(answers: readonly (() => Response)[]): Promise<{
  events: GraphEvent[]
  links: Link[]
  asked: { address: string; lastId: string | null }[]
  pauses: number[]
}> {
  const over = new AbortController()
  const seen = {
    events: [] as GraphEvent[],
    links: [] as Link[],
    asked: [] as { address: string; lastId: string | null }[],
    pauses: [] as number[],
  }
  await followGraph({
    project: 'default',
    signal: over.signal,
    fetch: async (address, init) => {
      seen.asked.push({ address, lastId: new Headers(init.headers).get('last-event-id') })
      const answer = answers[seen.asked.length - 1]
      if (!answer) {
        over.abort()
        throw new TypeError('fetch failed')
      }
      return answer()
    },
    sleep: async (ms, signal) => {
      // The watchdog's sleep never ends here; pauses between attempts end at once.
      if (ms > 10_000)
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
      seen.pauses.push(ms)
    },
    onEvent: (event) => seen.events.push(event),
    onLink: (link) => seen.links.push(link),
  })
  return seen
}

test('one answer, then the stream from where it stands, then on from the last id seen', async () => {
  const seen = await follow([
    () => Response.json(graph),
    () =>
      stream(
        `: hello\n\nid: 1207\nevent: node\ndata: ${JSON.stringify({ type: 'node', node })}\n\n`,
      ),
  ])
  expect(seen.asked.map(({ address }) => address)).toEqual([
    '/api/v1/projects/default/graph',
    '/api/v1/projects/default/graph/live',
    '/api/v1/projects/default/graph/live',
  ])
  expect(seen.asked.map(({ lastId }) => lastId)).toEqual([null, '1203', '1207'])
  expect(seen.events).toEqual([
    { type: 'graph', graph },
    { type: 'node', node },
  ])
  expect(seen.links.map((link) => link.state)).toEqual(['live', 'lost'])
})

test('pauses grow while the server is away and start small again after it came back', async () => {
  const away = (): Response => new Response('bad gateway', { status: 502 })
  const seen = await follow([away, away, away, () => Response.json(graph), () => stream('')])
  expect(seen.pauses).toEqual([500, 1000, 2000, 500])
  expect(seen.links.map((link) => link.state)).toEqual(['lost', 'lost', 'lost', 'live', 'lost'])
})

test('a refusal says the code and what to try', async () => {
  const problem = {
    type: 'x',
    title: 'x',
    status: 401,
    detail: 'cannot let you in',
    code: 'UNAUTHENTICATED',
    remedy: 'x',
  }
  const seen = await follow([() => Response.json(problem, { status: 401 })])
  expect(seen.links[0]?.state).toBe('refused')
  expect(seen.links[0]?.problem).toMatchObject({
    code: 'UNAUTHENTICATED',
    text: 'cannot let you in',
  })
  expect(seen.links[0]?.problem?.remedy).toContain('carries the token')
})

test('values come bare or wrapped, unknown events are passed over, problems end the attempt', () => {
  const wrapped = { id: '1', event: 'node', data: { type: 'node', node } }
  expect(graphEventOf(wrapped)).toEqual({ type: 'node', node })
  expect(graphEventOf({ ...wrapped, data: node })).toEqual({ type: 'node', node })
  expect(graphEventOf({ ...wrapped, event: 'message' })).toEqual({ type: 'node', node })
  expect(graphEventOf({ ...wrapped, event: 'weather', data: {} })).toBeUndefined()
  expect(() => graphEventOf({ id: undefined, event: 'problem', data: { detail: 'gone' } })).toThrow(
    'gone',
  )
})
