import { afterAll, beforeAll, expect, test } from 'vitest'
import { fileConnector } from '../../connectors/file/connector.ts'
import { VarveError } from '../../src/base/errors.ts'
import { streamDocuments } from '../../src/main/documents.ts'
import { NO_PIPELINES, makeWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
/** Names of the pipelines that were put. */
const put: string[] = []

beforeAll(async () => {
  world = await makeWorld({
    documents: streamDocuments([fileConnector]),
    pipelines: {
      ...NO_PIPELINES,
      put: (_project, document) => {
        put.push((document['pipeline'] as { name: string }).name)
        return Promise.reject(new VarveError('UNAVAILABLE', 'as far as this test goes'))
      },
    },
  })
})
afterAll(() => world.close())

const pipeline = (egress: string): string => `pipeline: {name: edges}
input: {pfs: {repo: images, glob: /*}}
transform: {cmd: [sh]}
egress:
${egress}
`

async function apply(body: string, dryRun = false): Promise<unknown> {
  const answer = await world.raw(`/api/v1/projects/default/apply?dryRun=${dryRun}`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body,
  })
  return answer.json()
}

test.each([
  [
    'an option its sink does not have',
    '  sink:\n    file: {paht: /tmp/out}',
    6,
    12,
    /did you mean "path"/,
  ],
  ['a connector there is not', '  sink:\n    flie: {path: /tmp/out}', 6, 5, /did you mean "file"/],
  ['a mode that does not work', '  sink: {file: {path: /tmp/out}}\n  mode: upsert', 6, 3, /upsert/],
])('the egress inside a pipeline is refused for %s, where it stands', async (...row) => {
  const [, egress, line, column, words] = row
  for (const dryRun of [true, false]) {
    expect(await apply(pipeline(egress), dryRun)).toMatchObject({
      code: 'INVALID_SPEC',
      detail: expect.stringMatching(words) as string,
      details: { line, column, field: expect.stringMatching(/^egress\./) as string },
    })
  }
  expect(put).toEqual([])
})

test('a right one gets as far as the pipeline itself', async () => {
  const answer = await apply(pipeline('  sink: {file: {path: /tmp/out}}'))
  expect(answer).toMatchObject({ code: 'UNAVAILABLE' })
  expect(put).toEqual(['edges'])
})
