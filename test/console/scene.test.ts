import { expect, test } from 'vitest'
import { neighbourhood, step } from '../../src/console/neighbourhood.ts'
import type { Point } from '../../src/console/scene.ts'
import { anchorsOf, curve, layoutRequest, ranksOf, sizeOf } from '../../src/console/scene.ts'
import { diamondRiver, metricsRiver, nodeOf } from './rivers.ts'

const metrics = metricsRiver(1e12)
const diamond = diamondRiver(1e12)

test('feeds come first and egress last, whatever lies between', () => {
  const ranks = ranksOf(diamond.nodes, diamond.edges)
  const last = Math.max(...ranks.values())
  for (const node of diamond.nodes) {
    if (node.kind === 'feed') expect(ranks.get(node.key)).toBe(0)
    if (node.kind === 'egress') expect(ranks.get(node.key)).toBe(last)
  }
  const { edges } = layoutRequest(diamond, 'across', 1200)
  const short = edges.find((edge) => edge.to === 'egress:warehouse')
  expect(short?.ranks).toBe(last - (ranks.get('repo:enriched') as number))
})

test('a circle does not hang the page', () => {
  const edges = [
    { from: 'repo:a', to: 'repo:b' },
    { from: 'repo:b', to: 'repo:a' },
  ]
  expect(ranksOf([nodeOf('repo', 'a', {}), nodeOf('repo', 'b', {})], edges).size).toBe(2)
})

test('the river fills the room it has by its gaps, within bounds', () => {
  const gap = (room: number): number => layoutRequest(metrics, 'across', room).rankGapPx
  expect(gap(600)).toBe(gap(900))
  expect(gap(1600)).toBeGreaterThan(gap(1272))
  expect(gap(6000)).toBe(gap(9000))
  const sizes = metrics.nodes.map((node) => sizeOf(node, 7, 'across').widthPx)
  const whole = sizes.reduce((a, b) => a + b, 0) + 6 * gap(1272)
  expect(whole).toBeLessThanOrEqual(1272)
})

test('an edge to a node nobody sent is left out', () => {
  const graph = {
    nodes: metrics.nodes,
    edges: [...metrics.edges, { from: 'repo:x', to: 'repo:metrics' }],
  }
  expect(layoutRequest(graph, 'across', 1200).edges.length).toBe(metrics.edges.length)
})

test('equal graphs ask for equal layouts although their counts moved', () => {
  const moved = metrics.nodes.map((node) => ({ ...node, count: node.count + 1, line: 'else' }))
  expect(layoutRequest({ ...metrics, nodes: moved }, 'across', 1200)).toEqual(
    layoutRequest(metrics, 'across', 1200),
  )
})

test('the river meets a core sample at its tube, straight past its words', () => {
  const repo = metrics.nodes[1]
  if (repo?.kind !== 'repo') throw new Error('the fixture begins with feed and repo')
  const size = sizeOf(repo, 7, 'across')
  const points = anchorsOf(repo, size, { x: 100, y: 50 }, 'across', 'in')
  expect(points).toEqual([
    { x: 100 - size.widthPx / 2, y: 50 },
    { x: 70, y: 50 },
  ])
  const path = curve([{ x: 0, y: 0 }, ...points], 'across')
  expect(path).toMatch(/^M0 0C.* 42 50C.* 70 50$/)
})

test('beyond the limit whole rings around the chosen node are shown', () => {
  const nodes = Array.from({ length: 300 }, (_, i) => nodeOf('repo', `r${i}`, {}))
  const edges = nodes.slice(1).map((node, i) => ({ from: `repo:r${i}`, to: node.key }))
  const part = neighbourhood({ nodes, edges }, 'repo:r150')
  expect(part.around).toBe('repo:r150')
  expect(part.nodes.length).toBe(149)
  expect(part.nodes.some((node) => node.key === 'repo:r76')).toBe(true)
  expect(part.edges.length).toBe(148)
  expect(neighbourhood(metrics, null).around).toBeNull()
  const hub = nodes.slice(1).map((node) => ({ from: 'repo:r0', to: node.key }))
  expect(neighbourhood({ nodes, edges: hub }, 'repo:r0').nodes.length).toBe(150)
  const troubled = nodes.with(40, nodeOf('repo', 'r40', { cause: { text: 'x', remedy: 'y' } }))
  expect(neighbourhood({ nodes: troubled, edges }, null).around).toBe('repo:r40')
})

test('arrows follow the water, and cross it', () => {
  const centres: Record<string, Point> = {
    'repo:a': { x: 0, y: 0 },
    'repo:b': { x: 100, y: -50 },
    'repo:c': { x: 100, y: 20 },
  }
  const edges = [
    { from: 'repo:a', to: 'repo:b' },
    { from: 'repo:a', to: 'repo:c' },
  ]
  expect(step('repo:a', 'ArrowRight', centres, edges, 'across')).toBe('repo:c')
  expect(step('repo:b', 'ArrowLeft', centres, edges, 'across')).toBe('repo:a')
  expect(step('repo:c', 'ArrowUp', centres, edges, 'across')).toBe('repo:b')
  expect(step('repo:c', 'ArrowRight', centres, edges, 'across')).toBeUndefined()
  expect(step('repo:a', 'ArrowDown', centres, edges, 'down')).toBe('repo:c')
})
