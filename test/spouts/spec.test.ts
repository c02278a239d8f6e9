import { expect, test } from 'vitest'
import { fileConnector } from '../../connectors/file/connector.ts'
import { kafkaConnector } from '../../connectors/kafka/connector.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { readEgressDocument } from '../../src/egress/spec.ts'
import { readSpoutDocument, readSpoutSpec } from '../../src/spouts/spec.ts'

const CONNECTORS = [fileConnector, kafkaConnector]
const SPOUT = {
  spout: { name: 'orders' },
  source: { kafka: { 'bootstrap.servers': 'a:1', topics: 'orders' } },
  target: 'orders@staging',
}

function refusal(work: () => unknown): { message: string; pointer: unknown } {
  try {
    work()
  } catch (error) {
    if (isVarveError(error, 'INVALID_SPEC'))
      return { message: error.message, pointer: error.details?.['pointer'] }
    throw error
  }
  throw new Error('not refused')
}

test('a spout is its document; what is not said has defaults', () => {
  expect(readSpoutDocument(SPOUT, CONNECTORS)).toEqual({
    name: 'orders',
    repo: 'orders',
    branch: 'staging',
    spec: SPOUT,
  })
  const spec = readSpoutSpec({ ...SPOUT, commit: { age: '2s', records: 7 } }, CONNECTORS)
  expect(spec).toMatchObject({
    commit: { records: 7, ageMs: 2_000, idleMs: 500, minIntervalMs: 0 },
    format: 'raw',
    poison: 'halt',
    gap: 'halt',
    source: { options: { 'bootstrap.servers': ['a:1'], topics: ['orders'], start: 'earliest' } },
  })
})

test.each([
  [{ source: { kafk: {} } }, '/source/kafk', 'did you mean "kafka"?'],
  [{ source: { kafka: { topics: 'a' } } }, '/source/kafka/bootstrap.servers', 'missing'],
  [
    { source: { kafka: { 'bootstrap.servers': 'a', topics: 'a', strat: 'latest' } } },
    '/source/kafka/strat',
    'did you mean "start"?',
  ],
  [{ gap: 'skip' }, '/gap', 'halt or accept'],
  [{ format: 'xml' }, '/format', 'raw or ndjson'],
  [{ layout: '/x' }, '/layout', 'not yet'],
])('%j is refused where it is wrong', (more, pointer, words) => {
  const refused = refusal(() => readSpoutDocument({ ...SPOUT, ...more }, CONNECTORS))
  expect(refused.pointer).toBe(pointer)
  expect(refused.message).toContain(words)
})

test('an egress is its document, and its sink is checked too', () => {
  const egress = {
    egress: { name: 'out' },
    from: 'results',
    sink: { file: { path: '/tmp/out' } },
  }
  expect(readEgressDocument(egress, CONNECTORS)).toMatchObject({
    name: 'out',
    repo: 'results',
    branch: 'master',
  })
  const wrong = { ...egress, sink: { file: { paht: '/tmp/out' } } }
  expect(refusal(() => readEgressDocument(wrong, CONNECTORS))).toEqual({
    pointer: '/sink/file/paht',
    message: expect.stringContaining('did you mean "path"?') as string,
  })
})
