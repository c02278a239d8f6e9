// What is near what in the graph: which part of a large river to show, and where an arrow key leads.

import type { Graph, GraphEdge } from '../api/graph.ts'
import type { Direction, Point } from './scene.ts'

/** Beyond this many nodes the page draws the neighbourhood of one of them. */
export const MOST_NODES = 150

export interface Part extends Pick<Graph, 'nodes' | 'edges'> {
  /** The node it is drawn around; null when all is shown. */
  readonly around: string | null
}

/** Rings around the centre, whole ring by whole ring, until the next one would be too much. */
export function neighbourhood(
  graph: Pick<Graph, 'nodes' | 'edges'>,
  centre: string | null,
  most: number = MOST_NODES,
): Part {
  if (graph.nodes.length <= most) return { ...graph, around: null }
  const chosen =
    graph.nodes.find((node) => node.key === centre) ??
    graph.nodes.find((node) => node.cause !== null) ??
    graph.nodes[0]
  if (chosen === undefined) return { ...graph, around: null }
  const beside = besides(graph.edges)
  const shown = new Set([chosen.key])
  let ring = [chosen.key]
  while (ring.length > 0) {
    const next = [...new Set(ring.flatMap((key) => beside.get(key) ?? []))]
    ring = next.filter((key) => !shown.has(key))
    if (shown.size + ring.length > most) {
      // A ring too wide to show whole (a hub) still shows as much as there is room for.
      if (shown.size === 1) for (const key of ring.slice(0, most - 1)) shown.add(key)
      break
    }
    for (const key of ring) shown.add(key)
  }
  return {
    nodes: graph.nodes.filter((node) => shown.has(node.key)),
    edges: graph.edges.filter((edge) => shown.has(edge.from) && shown.has(edge.to)),
    around: chosen.key,
  }
}

function besides(edges: readonly GraphEdge[]): ReadonlyMap<string, readonly string[]> {
  const map = new Map<string, string[]>()
  const add = (from: string, to: string): void => {
    const known = map.get(from)
    if (known) known.push(to)
    else map.set(from, [to])
  }
  for (const edge of edges) {
    add(edge.from, edge.to)
    add(edge.to, edge.from)
  }
  return map
}

export type Arrow = 'ArrowLeft' | 'ArrowRight' | 'ArrowUp' | 'ArrowDown'

/**
 * Along the river an arrow follows an edge, to the nearest neighbour; across it, it goes to the
 * nearest node on that side. Undefined where the river ends.
 */
export function step(
  from: string,
  arrow: Arrow,
  centres: Readonly<Record<string, Point>>,
  edges: readonly GraphEdge[],
  direction: Direction,
): string | undefined {
  const here = centres[from]
  if (here === undefined) return undefined
  const ahead = direction === 'across' ? 'ArrowRight' : 'ArrowDown'
  const back = direction === 'across' ? 'ArrowLeft' : 'ArrowUp'
  let candidates: readonly string[]
  if (arrow === ahead) candidates = edges.filter((e) => e.from === from).map((e) => e.to)
  else if (arrow === back) candidates = edges.filter((e) => e.to === from).map((e) => e.from)
  else {
    const side = arrow === 'ArrowUp' || arrow === 'ArrowLeft' ? -1 : 1
    candidates = Object.keys(centres).filter((key) => {
      const there = centres[key] as Point
      const across = direction === 'across' ? there.y - here.y : there.x - here.x
      return across * side > 1
    })
  }
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const key of candidates) {
    const there = centres[key]
    if (there === undefined || key === from) continue
    const distance = Math.hypot(there.x - here.x, there.y - here.y)
    if (distance < bestDistance) {
      best = key
      bestDistance = distance
    }
  }
  return best
}
