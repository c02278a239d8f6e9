// Where things stand in the river. Pure: sizes in, places out; the layout itself runs in a worker.
//
// - A node's box is symmetric about the line the river takes through it, so a plain chain is one
//   straight line: names above a core sample weigh as much as the numbers below it.
// - The river fills the width it is given by widening the gaps, up to a point, and never squeezes
//   them: what does not fit scrolls.

import type { Graph, GraphEdge, GraphNode } from '../api/graph.ts'

export type Direction = 'across' | 'down'

export interface Size {
  readonly widthPx: number
  readonly heightPx: number
}

export interface Point {
  readonly x: number
  readonly y: number
}

export interface LayoutRequest {
  readonly direction: Direction
  readonly rankGapPx: number
  readonly rowGapPx: number
  readonly nodes: readonly { readonly key: string; readonly size: Size }[]
  /** `ranks` is how many columns an edge spans at least: it keeps feeds first and egress last. */
  readonly edges: readonly (GraphEdge & { readonly ranks: number })[]
}

export interface LayoutAnswer {
  /** Centres by node key. */
  readonly centres: Readonly<Record<string, Point>>
  /** Inner points of edges that pass other ranks, by `edgeKey`. */
  readonly bends: Readonly<Record<string, readonly Point[]>>
  readonly widthPx: number
  readonly heightPx: number
}

export const TUBE_WIDTH_PX = 60
/** What a feed's springs and an egress's mouths take of their boxes. */
export const MOUTH_PX = 44
/** Two lines of words above a core sample, and two below. */
export const CAPTION_PX = 44
const LEAST_GAP_PX = 28

/** The fewer there are, the longer the core samples. */
export function tubeHeightPx(nodes: number): number {
  return nodes <= 9 ? 144 : nodes <= 18 ? 120 : 72
}

export function edgeKey(edge: GraphEdge): string {
  return `${edge.from}→${edge.to}`
}

export function sizeOf(node: GraphNode, nodes: number, direction: Direction): Size {
  switch (node.kind) {
    case 'repo':
      return { widthPx: 116, heightPx: tubeHeightPx(nodes) + 2 * CAPTION_PX }
    case 'pipeline':
      // Two of them stand side by side on a telephone.
      return {
        widthPx: direction === 'across' ? 184 : 160,
        // A line more where pods are counted.
        heightPx: node.cause !== null ? 136 : node.pods === null ? 100 : 116,
      }
    case 'feed':
    case 'egress': {
      // Across, the water runs between the words: as much room below it as above.
      if (direction === 'across')
        return node.cause === null
          ? { widthPx: 132 + MOUTH_PX, heightPx: 124 }
          : { widthPx: 168 + MOUTH_PX, heightPx: 160 }
      return { widthPx: 160, heightPx: (node.cause === null ? 96 : 116) + MOUTH_PX }
    }
  }
}

/** The request for the worker; equal requests have equal answers, so its text is the cache's key. */
export function layoutRequest(
  graph: Pick<Graph, 'nodes' | 'edges'>,
  direction: Direction,
  roomPx: number,
): LayoutRequest {
  const nodes = graph.nodes.map((node) => ({
    key: node.key,
    size: sizeOf(node, graph.nodes.length, direction),
  }))
  const known = new Set(nodes.map((node) => node.key))
  const inside = graph.edges.filter((edge) => known.has(edge.from) && known.has(edge.to))
  const ranks = ranksOf(graph.nodes, inside)
  const edges = inside.map(({ from, to }) => {
    const outermost = from.startsWith('feed:') || to.startsWith('egress:')
    const ranksApart = (ranks.get(to) ?? 0) - (ranks.get(from) ?? 0)
    return { from, to, ranks: outermost ? Math.max(1, ranksApart) : 1 }
  })
  if (direction === 'down') return { direction, rankGapPx: 36, rowGapPx: 12, nodes, edges }
  const widths: number[] = []
  for (const node of nodes) {
    const rank = ranks.get(node.key) ?? 0
    widths[rank] = Math.max(widths[rank] ?? 0, node.size.widthPx)
  }
  const taken = widths.reduce((sum, width) => sum + width, 0)
  const gap = widths.length < 2 ? 0 : (roomPx - taken) / (widths.length - 1)
  const rankGapPx = Math.max(LEAST_GAP_PX, Math.min(104, Math.floor(gap / 2) * 2))
  return { direction, rankGapPx, rowGapPx: 24, nodes, edges }
}

/**
 * Longest way from a source, by key; egress all in the last column. A circle (which the log
 * refuses) would end at its first node.
 */
export function ranksOf(
  nodes: readonly Pick<GraphNode, 'key' | 'kind'>[],
  edges: readonly GraphEdge[],
): ReadonlyMap<string, number> {
  const above = new Map<string, string[]>()
  for (const edge of edges) above.set(edge.to, [...(above.get(edge.to) ?? []), edge.from])
  const ranks = new Map<string, number>()
  const visit = (key: string, path: ReadonlySet<string>): number => {
    const known = ranks.get(key)
    if (known !== undefined) return known
    if (path.has(key)) return 0
    const deeper = new Set(path).add(key)
    const rank = Math.max(-1, ...(above.get(key) ?? []).map((from) => visit(from, deeper))) + 1
    ranks.set(key, rank)
    return rank
  }
  for (const { key } of nodes) visit(key, new Set())
  const last = Math.max(0, ...ranks.values())
  for (const { key, kind } of nodes) if (kind === 'egress' && last > 0) ranks.set(key, last)
  return ranks
}

/**
 * Where the river leaves (`out`) or meets (`in`) a node, from the outside in: it bends outside the
 * node's box, then runs straight to the thing itself, so that no curve crosses a node's words.
 */
export function anchorsOf(
  node: GraphNode,
  size: Size,
  centre: Point,
  direction: Direction,
  side: 'in' | 'out',
): readonly Point[] {
  const sign = side === 'in' ? -1 : 1
  if (direction === 'down') {
    return [{ x: centre.x, y: centre.y + sign * (size.heightPx / 2 - mouthPx(node, side)) }]
  }
  const edge = { x: centre.x + sign * (size.widthPx / 2 - mouthPx(node, side)), y: centre.y }
  if (node.kind !== 'repo') return [edge]
  return [edge, { x: centre.x + (sign * TUBE_WIDTH_PX) / 2, y: centre.y }]
}

function mouthPx(node: GraphNode, side: 'in' | 'out'): number {
  const mouth =
    (node.kind === 'feed' && side === 'in') || (node.kind === 'egress' && side === 'out')
  return mouth ? MOUTH_PX : 0
}

/** A calm curve: it leaves and arrives along the river's direction. */
export function curve(points: readonly Point[], direction: Direction): string {
  const [start, ...rest] = points
  if (start === undefined) return ''
  let text = `M${round(start.x)} ${round(start.y)}`
  let at = start
  for (const next of rest) {
    if (direction === 'across') {
      const middle = (at.x + next.x) / 2
      text += `C${round(middle)} ${round(at.y)} ${round(middle)} ${round(next.y)} ${round(next.x)} ${round(next.y)}`
    } else {
      const middle = (at.y + next.y) / 2
      text += `C${round(at.x)} ${round(middle)} ${round(next.x)} ${round(middle)} ${round(next.x)} ${round(next.y)}`
    }
    at = next
  }
  return text
}

/** Three strands that meet at a feed's springs, or part at an egress's mouths. */
export function strands(at: Point, direction: Direction, side: 'in' | 'out'): readonly string[] {
  const sign = side === 'in' ? -1 : 1
  return [-1, 0, 1].map((row) => {
    const reach = MOUTH_PX - (row === 0 ? 0 : 8)
    const far =
      direction === 'across'
        ? { x: at.x + sign * reach, y: at.y + row * 18 }
        : { x: at.x + row * 18, y: at.y + sign * reach }
    return curve(side === 'in' ? [far, at] : [at, far], direction)
  })
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
