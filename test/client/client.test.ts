// What the client sends, seen by what stands in for fetch.

import { expect, test } from 'vitest'
import { Client } from '../../src/client/client.ts'
import type { LinesKey } from '../../src/client/client.ts'

test('a body goes along also where the answer comes line by line', async () => {
  const sent: Request[] = []
  const client = new Client({
    baseUrl: 'http://varve.test',
    token: 't',
    fetch: (input, init) => {
      sent.push(new Request(input as string, init))
      return Promise.resolve(new Response('{"n":1}\n{"n":2}\n'))
    },
  })
  // No route of today has both; the first that does must not lose it.
  const key = 'POST /projects/:project/rebuild' satisfies LinesKey
  const args = { params: { project: 'p' }, body: { paths: ['ä'] } }
  const lines: unknown[] = []
  for await (const line of client.lines(key, args as never)) lines.push(line)
  expect(lines).toEqual([{ n: 1 }, { n: 2 }])
  expect(sent[0]?.headers.get('content-type')).toBe('application/json')
  expect(await sent[0]?.json()).toEqual({ paths: ['ä'] })
})
