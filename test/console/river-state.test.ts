import { expect, test } from 'vitest'
import type { GraphEvent, GraphNode } from '../../src/api/graph.ts'
import { ROWS, START, reduceRiver } from '../../src/console/river-state.ts'
import type { RiverState } from '../../src/console/river-state.ts'
import { metricsRiver } from './rivers.ts'

const graph = metricsRiver(1e12)
const first = reduceRiver(START, { type: 'event', event: { type: 'graph', graph }, atMs: 0 })
const say = (state: RiverState, event: GraphEvent, atMs = 0): RiverState =>
  reduceRiver(state, { type: 'event', event, atMs })
const nodeIn = (state: RiverState, key: string): GraphNode =>
  state.graph?.nodes.find((node) => node.key === key) as GraphNode
const metrics = nodeIn(first, 'repo:metrics')

test('nothing is known before the first graph, and an early event does not invent it', () => {
  expect(say(START, { type: 'node', node: metrics })).toBe(START)
})

test('a node event replaces its node and no other', () => {
  const after = say(first, { type: 'node', node: { ...metrics, count: metrics.count + 1 } })
  expect(nodeIn(after, 'repo:metrics').count).toBe(metrics.count + 1)
  expect(after.graph?.nodes.map((node) => node.key)).toEqual(graph.nodes.map((node) => node.key))
  expect(nodeIn(after, 'repo:alerts')).toBe(nodeIn(first, 'repo:alerts'))
})

test('a pulse starts when a count rises, rests, and never when it stands or falls', () => {
  const rise = (state: RiverState, count: number, atMs: number): RiverState =>
    say(state, { type: 'node', node: { ...metrics, count } }, atMs)
  const once = rise(first, 200, 1000)
  expect(once.pulses['repo:metrics']?.n).toBe(1)
  expect(rise(once, 201, 1100).pulses['repo:metrics']?.n).toBe(1)
  expect(rise(once, 201, 3000).pulses['repo:metrics']?.n).toBe(2)
  expect(rise(once, 200, 3000).pulses).toBe(once.pulses)
  expect(rise(once, 10, 3000).pulses).toBe(once.pulses)
})

test('the graph sent again after a resume pulses only what moved meanwhile', () => {
  const nodes = graph.nodes.map((node) =>
    node.key === 'egress:alerts-file' ? { ...node, count: 9999 } : node,
  )
  expect(say(first, { type: 'graph', graph }).pulses).toEqual({})
  expect(Object.keys(say(first, { type: 'graph', graph: { ...graph, nodes } }).pulses)).toEqual([
    'egress:alerts-file',
  ])
})

test('a commit seen again changes in place; one id in another repo is another row', () => {
  const commit = graph.commits[3]
  if (!commit) throw new Error('the fixture has commits')
  const changed = say(first, { type: 'commit', commit: { ...commit, state: 'failed' } })
  expect(changed.graph?.commits.length).toBe(graph.commits.length)
  expect(changed.graph?.commits[3]?.state).toBe('failed')
  const other = say(first, { type: 'commit', commit: { ...commit, repo: 'elsewhere' } })
  expect(other.graph?.commits[0]?.repo).toBe('elsewhere')
  expect(other.graph?.commits.length).toBe(graph.commits.length + 1)
})

test('rows are bounded, the oldest go', () => {
  let state = first
  for (let i = 0; i < ROWS + 5; i++)
    state = say(state, {
      type: 'job',
      job: { ...(graph.jobs[0] as never as object), id: `j${i}` } as never,
    })
  expect(state.graph?.jobs.length).toBe(ROWS)
  expect(state.graph?.jobs[0]?.id).toBe(`j${ROWS + 4}`)
})

test('losing the link keeps what is known', () => {
  const lost = reduceRiver(first, { type: 'link', link: { state: 'lost', problem: null } })
  expect(lost.graph).toBe(graph)
  expect(lost.link.state).toBe('lost')
})
