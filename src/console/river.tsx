// The river: curves in SVG below, nodes as HTML above, both in the layout's own coordinates.

import { useEffect, useMemo, useRef, useState } from 'react'
import type { KeyboardEvent, ReactElement } from 'react'
import type { Graph, GraphNode } from '../api/graph.ts'
import type { Address } from './address.ts'
import { formatAddress } from './address.ts'
import { useWidthPx } from './hooks.ts'
import type { Go } from './hooks.ts'
import { layersOf } from './layers.ts'
import { requestLayout } from './layout.ts'
import { neighbourhood, step } from './neighbourhood.ts'
import type { Arrow } from './neighbourhood.ts'
import { CoreSample, Gate, podsOf, Port } from './nodes.tsx'
import { Readout } from './readout.tsx'
import type { RiverState } from './river-state.ts'
import {
  MOUTH_PX,
  anchorsOf,
  curve,
  edgeKey,
  layoutRequest,
  sizeOf,
  strands,
  tubeHeightPx,
} from './scene.ts'
import type { Direction, LayoutAnswer, LayoutRequest, Point, Size } from './scene.ts'
import { leadWord } from './words.ts'

/** Narrower than this, the river runs down the page. */
const ACROSS_FROM_PX = 640
const READOUT_WIDTH_PX = 264
const READOUT_HEIGHT_PX = 76
/** What river.css leaves at both sides together. */
const PADDING_PX = 8
const STRATA = 6

interface RiverProps {
  readonly graph: Graph
  readonly pulses: RiverState['pulses']
  readonly address: Address
  readonly go: Go
  readonly nowMs: number
}

interface Laid {
  readonly request: LayoutRequest
  readonly answer: LayoutAnswer
}

export function River({ graph, pulses, address, go, nowMs }: RiverProps): ReactElement {
  const frame = useRef<HTMLDivElement>(null)
  const roomPx = useWidthPx(frame)
  const direction: Direction = roomPx >= ACROSS_FROM_PX ? 'across' : 'down'
  const part = useMemo(() => neighbourhood(graph, address.node), [graph, address.node])
  const request = useMemo(
    () => layoutRequest(part, direction, roomPx - PADDING_PX),
    [part, direction, roomPx],
  )
  const requestText = JSON.stringify(request)
  const [laid, setLaid] = useState<Laid | null>(null)
  useEffect(() => {
    if (roomPx === 0) return
    let wanted = true
    void requestLayout(request).then((answer) => {
      if (wanted) setLaid({ request, answer })
    })
    return () => {
      wanted = false
    }
    // The text stands for the request: equal ones need no new layout.
  }, [requestText, roomPx === 0])
  return (
    <div className={`river ${direction}`} ref={frame}>
      {part.around !== null && (
        <p className="muted around">
          {part.nodes.length} of {graph.nodes.length} nodes, those nearest to{' '}
          {part.around.split(':')[1]}. Open another to see its surroundings.
        </p>
      )}
      {laid && (
        <Scene
          laid={laid}
          nodes={part.nodes}
          repos={graph.nodes.filter((node) => node.kind === 'repo').map((node) => node.key)}
          pulses={pulses}
          address={address}
          go={go}
          nowMs={nowMs}
        />
      )}
    </div>
  )
}

interface SceneProps extends Omit<RiverProps, 'graph'> {
  readonly laid: Laid
  readonly nodes: readonly GraphNode[]
  readonly repos: readonly string[]
}

interface Placed {
  readonly node: GraphNode
  readonly centre: Point
}

function Scene({ laid, nodes, repos, pulses, address, go, nowMs }: SceneProps): ReactElement {
  const { request, answer } = laid
  const { direction } = request
  const [held, setHeld] = useState<{ readonly key: string; readonly index: number } | null>(null)
  const tubePx = tubeHeightPx(request.nodes.length)
  const placed = useMemo(() => {
    const list: Placed[] = []
    for (const node of nodes) {
      const centre = answer.centres[node.key]
      if (centre) list.push({ node, centre })
    }
    // Tab goes where the water goes.
    const along = direction === 'across' ? 'x' : 'y'
    const beside = direction === 'across' ? 'y' : 'x'
    return list.sort(
      (a, b) => a.centre[along] - b.centre[along] || a.centre[beside] - b.centre[beside],
    )
  }, [nodes, answer, direction])
  const at = new Map(placed.map((one) => [one.node.key, one]))
  const count = request.nodes.length

  useEffect(() => {
    if (address.node === null) return
    document
      .getElementById(`node-${address.node}`)
      ?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [address.node, answer])

  const onKeyDown = (event: KeyboardEvent): void => {
    const key = (event.target as HTMLElement).closest<HTMLElement>('[data-key]')?.dataset['key']
    if (key === undefined || event.metaKey || event.ctrlKey || event.altKey) return
    if (event.key.startsWith('Arrow')) {
      const next = step(key, event.key as Arrow, answer.centres, request.edges, direction)
      if (next === undefined) return
      event.preventDefault()
      document.getElementById(`node-${next}`)?.focus()
    } else if (event.key === 'j' || event.key === 'k') {
      const bands = at.get(key)?.node.bands.length ?? 0
      if (bands === 0) return
      const now = held?.key === key ? held.index : -1
      const index = Math.max(0, Math.min(bands - 1, now + (event.key === 'j' ? 1 : -1)))
      setHeld({ key, index })
    }
  }

  const readout = held && at.get(held.key)
  const band = held && readout?.node.bands[held.index]
  return (
    <div
      className="scene"
      style={{ width: answer.widthPx, height: answer.heightPx }}
      onKeyDown={onKeyDown}
      role="group"
      aria-label="The river, from feeds to egress"
    >
      <svg className="water" width={answer.widthPx} height={answer.heightPx} aria-hidden="true">
        {request.edges.map((edge) => {
          const from = at.get(edge.from)
          const to = at.get(edge.to)
          if (!from || !to) return null
          const start = anchorsOf(
            from.node,
            sizeOf(from.node, count, direction),
            from.centre,
            direction,
            'out',
          )
          const end = anchorsOf(
            to.node,
            sizeOf(to.node, count, direction),
            to.centre,
            direction,
            'in',
          )
          const path = curve(
            [...start.toReversed(), ...(answer.bends[edgeKey(edge)] ?? []), ...end],
            direction,
          )
          const lit = address.node === edge.from || address.node === edge.to
          return (
            <Stream key={edgeKey(edge)} path={path} pulse={pulses[edge.to]?.n ?? 0} lit={lit} />
          )
        })}
        {placed.map(({ node, centre }) => {
          if (node.kind !== 'feed' && node.kind !== 'egress') return null
          return (
            <Mouth
              key={node.key}
              node={node}
              centre={centre}
              size={sizeOf(node, count, direction)}
              direction={direction}
              pulse={pulses[node.key]?.n ?? 0}
              lit={address.node === node.key}
            />
          )
        })}
      </svg>
      {placed.map(({ node, centre }) => {
        const size = sizeOf(node, count, direction)
        const pulse = pulses[node.key]?.n ?? 0
        const dim =
          address.find !== '' && !node.name.toLowerCase().includes(address.find.toLowerCase())
        return (
          <a
            key={node.key}
            id={`node-${node.key}`}
            data-key={node.key}
            data-state={leadWord(node.state)}
            className={['node', node.kind, node.cause ? 'troubled' : '', dim ? 'dim' : ''].join(
              ' ',
            )}
            href={formatAddress({ ...address, node: node.key })}
            aria-current={address.node === node.key}
            aria-label={spoken(node)}
            style={{
              left: centre.x - size.widthPx / 2,
              top: centre.y - size.heightPx / 2,
              width: size.widthPx,
              height: size.heightPx,
            }}
            onClick={(event) => {
              if (event.metaKey || event.ctrlKey || event.shiftKey) return
              event.preventDefault()
              // Opened already: step into the drawer.
              if (address.node === node.key && !address.help)
                document.querySelector<HTMLElement>('.drawer')?.focus()
              else go({ node: node.key, help: false })
            }}
            onFocus={(event) => {
              if (node.bands.length > 0 && event.currentTarget.matches(':focus-visible'))
                setHeld({ key: node.key, index: 0 })
            }}
            onBlur={() => setHeld(null)}
          >
            {node.kind === 'pipeline' && <Gate node={node} pulse={pulse} />}
            {(node.kind === 'feed' || node.kind === 'egress') && <Port node={node} pulse={pulse} />}
            {node.kind === 'repo' && (
              <CoreSample
                node={node}
                pulse={pulse}
                tubePx={tubePx}
                stratum={repos.indexOf(node.key) % STRATA}
                held={held?.key === node.key ? held.index : null}
                onHold={(index) => setHeld(index === null ? null : { key: node.key, index })}
              />
            )}
          </a>
        )
      })}
      {readout && band && (
        <div
          className="readout"
          style={readoutPlace(readout, held.index, tubePx, answer)}
          role="status"
        >
          <Readout band={band} nowMs={nowMs} />
        </div>
      )}
    </div>
  )
}

function spoken(node: GraphNode): string {
  const parts = [
    `${node.kind} ${node.name}`,
    node.state,
    `${node.count} ${node.countUnit}`,
    podsOf(node),
    node.line,
  ]
  if (node.cause) parts.push(node.cause.text, node.cause.remedy)
  return parts.filter((text) => text !== '').join(', ')
}

/**
 * Beside the core sample, to the left where the right has no room; above the neighbour's words for
 * the upper bands and below them for the lower ones, so that reading one thing hides no other.
 */
function readoutPlace(
  { node, centre }: Placed,
  index: number,
  tubePx: number,
  answer: LayoutAnswer,
): { left: number; top: number; width: number } {
  const bandTopPx = layersOf(node.bands, tubePx - 8)[index]?.topPx ?? 0
  const top = centre.y + (bandTopPx < tubePx / 2 ? -READOUT_HEIGHT_PX - 44 : 44)
  const right = centre.x + 40
  const left = right + READOUT_WIDTH_PX <= answer.widthPx ? right : centre.x - 40 - READOUT_WIDTH_PX
  return {
    left: Math.max(0, left),
    top: Math.max(0, Math.min(top, answer.heightPx - READOUT_HEIGHT_PX)),
    width: READOUT_WIDTH_PX,
  }
}

interface MouthProps {
  readonly node: GraphNode
  readonly centre: Point
  readonly size: Size
  readonly direction: Direction
  readonly pulse: number
  readonly lit: boolean
}

/** Where the river comes from or goes to: strands that come out of nothing, or fade into it. */
function Mouth({ node, centre, size, direction, pulse, lit }: MouthProps): ReactElement {
  const feed = node.kind === 'feed'
  const inner = anchorsOf(node, size, centre, direction, feed ? 'in' : 'out')[0] ?? centre
  const outer = anchorsOf(node, size, centre, direction, feed ? 'out' : 'in')[0] ?? centre
  const across = direction === 'across'
  const reach = feed ? -MOUTH_PX : MOUTH_PX
  const id = `fade-${node.key}`
  return (
    <>
      <linearGradient
        id={id}
        gradientUnits="userSpaceOnUse"
        x1={inner.x}
        y1={inner.y}
        x2={inner.x + (across ? reach : 0)}
        y2={inner.y + (across ? 0 : reach)}
      >
        <stop className={lit ? 'water-stop lit' : 'water-stop'} offset="0.2" />
        <stop className="water-stop gone" offset="1" />
      </linearGradient>
      {strands(inner, direction, feed ? 'in' : 'out').map((path, i) => (
        <Stream key={i} path={path} pulse={pulse} lit={lit} stroke={`url("#${id}")`} />
      ))}
      {across && (
        <Stream
          path={curve(feed ? [inner, outer] : [outer, inner], direction)}
          pulse={pulse}
          lit={lit}
        />
      )}
    </>
  )
}

interface StreamProps {
  readonly path: string
  readonly pulse: number
  readonly lit: boolean
  readonly stroke?: string
}

/** One strand of water; something small runs down it when something came through. */
function Stream({ path, pulse, lit, stroke }: StreamProps): ReactElement {
  return (
    <g className={['stream', lit ? 'lit' : '', stroke ? 'thin' : ''].join(' ')}>
      <path d={path} {...(stroke === undefined ? {} : { style: { stroke } })} />
      {pulse > 0 && <path key={pulse} className="pulse" d={path} pathLength={100} />}
    </g>
  )
}
