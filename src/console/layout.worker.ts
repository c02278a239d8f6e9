// The graph library lives here, off the page's thread and out of its first load.

import { Graph, layout } from '@dagrejs/dagre'
import type { LayoutAnswer, LayoutRequest, Point } from './scene.ts'
import { edgeKey } from './scene.ts'

const MARGIN_PX = 16
/** On a telephone every pixel beside the river counts. */
const NARROW_MARGIN_PX = 4

interface Ask {
  readonly id: number
  readonly request: LayoutRequest
}

self.onmessage = (message: MessageEvent<Ask>): void => {
  const { id, request } = message.data
  self.postMessage({ id, answer: arrange(request) })
}

function arrange(request: LayoutRequest): LayoutAnswer {
  const graph = new Graph()
  graph.setGraph({
    rankdir: request.direction === 'across' ? 'LR' : 'TB',
    ranksep: request.rankGapPx,
    nodesep: request.rowGapPx,
    edgesep: 12,
    marginx: request.direction === 'across' ? 0 : NARROW_MARGIN_PX,
    marginy: MARGIN_PX,
  })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const { key, size } of request.nodes)
    graph.setNode(key, { width: size.widthPx, height: size.heightPx })
  for (const edge of request.edges)
    graph.setEdge(edge.from, edge.to, { minlen: edge.ranks, labelpos: 'c', width: 0, height: 0 })
  layout(graph)
  const centres: Record<string, Point> = {}
  for (const { key } of request.nodes) {
    const node = graph.node(key) as { x: number; y: number }
    centres[key] = { x: node.x, y: node.y }
  }
  const bends: Record<string, Point[]> = {}
  for (const edge of request.edges) {
    const { points = [] } = graph.edge(edge.from, edge.to) as { points?: Point[] }
    // Three points are the two ends and the middle: a plain curve is calmer.
    if (points.length > 3) bends[edgeKey(edge)] = points.slice(1, -1).map(({ x, y }) => ({ x, y }))
  }
  const size = graph.graph() as { width?: number; height?: number }
  return { centres, bends, widthPx: size.width ?? 0, heightPx: size.height ?? 0 }
}
