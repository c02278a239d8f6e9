// The four things of the river, each in its own shape: a spring, a core sample, a gate, a mouth.

import { useState } from 'react'
import type { ReactElement } from 'react'
import type { GraphNode } from '../api/graph.ts'
import { formatCount } from './format.ts'
import { layersOf, seasonsOf } from './layers.ts'
import { TUBE_WIDTH_PX } from './scene.ts'
import { StateWord } from './state-word.tsx'
import { bandLook } from './words.ts'

/** Breaks between the parts of a line of truth, never within one; a dot between, never at an end. */
function Truth({ line }: { readonly line: string }): ReactElement {
  return (
    <span className="truth" title={line}>
      {line.split(' · ').map((part, i) => (
        <span className="part" key={i}>
          {part}
        </span>
      ))}
    </span>
  )
}

/** The number that moves; it lights up for a moment when it does. */
function Count({
  node,
  pulse,
}: {
  readonly node: GraphNode
  readonly pulse: number
}): ReactElement {
  const unit = node.count === 1 ? node.countUnit.slice(0, -1) : node.countUnit
  return (
    <span className="count">
      <span key={pulse} className={pulse > 0 ? 'number moved' : 'number'} data-count={node.count}>
        {formatCount(node.count)}
      </span>{' '}
      {unit}
    </span>
  )
}

interface TroubleProps {
  readonly cause: NonNullable<GraphNode['cause']>
  /** Before the cause: how much there is in spite of it. */
  readonly pods?: string
}

function Trouble({ cause, pods = '' }: TroubleProps): ReactElement {
  return (
    <span
      className={pods === '' ? 'trouble' : 'trouble short'}
      title={`${cause.text}\n${cause.remedy}`}
    >
      {pods !== '' && <span className="pods">{pods}</span>}
      <span className="cause">{cause.text}</span>
      <span className="remedy">→ {cause.remedy}</span>
    </span>
  )
}

/** `1 of 4 pods`: those that run of those the work would keep busy. */
export function podsOf({ pods }: Pick<GraphNode, 'pods'>): string {
  return pods === null ? '' : `${formatCount(pods.running)} of ${formatCount(pods.wanted)} pods`
}

interface Shown {
  readonly node: GraphNode
  readonly pulse: number
}

export function Gate({ node, pulse }: Shown): ReactElement {
  const running = node.progress !== null
  const pods = podsOf(node)
  return (
    <>
      <span className="posts" aria-hidden="true" />
      <span className="name" title={node.name}>
        {node.name}
      </span>
      <span className="state-row">
        <StateWord state={node.state} />
        <Count node={node} pulse={pulse} />
      </span>
      {node.cause === null ? (
        <Truth line={[pods, node.line].filter((part) => part !== '').join(' · ')} />
      ) : (
        <Trouble cause={node.cause} pods={pods} />
      )}
      {running && <progress max={1} value={node.progress ?? 0} aria-label="done" />}
    </>
  )
}

export function Port({ node, pulse }: Shown): ReactElement {
  return (
    <>
      <span className="above">
        <span className="name" title={node.name}>
          {node.name}
        </span>
        <StateWord state={node.state} />
      </span>
      <span className="below">
        {node.cause === null ? <Truth line={node.line} /> : <Trouble cause={node.cause} />}
        <Count node={node} pulse={pulse} />
      </span>
    </>
  )
}

interface CoreProps extends Shown {
  readonly tubePx: number
  readonly stratum: number
  /** Index of the band being read, if it is one of this repo's. */
  readonly held: number | null
  readonly onHold: (index: number | null) => void
}

export function CoreSample(props: CoreProps): ReactElement {
  const { node, pulse, tubePx, stratum, held, onHold } = props
  // What lay here when the page opened does not fall again.
  const [before] = useState(() => new Set(node.bands.map((band) => band.id)))
  const ids = node.bands.map((band) => band.id)
  const [seasons, setSeasons] = useState(() => seasonsOf(ids, new Map()))
  if (ids.some((id) => !seasons.has(id))) setSeasons(seasonsOf(ids, seasons))
  const layers = layersOf(node.bands, tubePx - 8)
  return (
    <>
      <span className="above">
        <span className="name" title={node.name}>
          {node.name}
        </span>
        <StateWord state={node.state} />
      </span>
      <span
        className="tube"
        style={{ width: TUBE_WIDTH_PX, height: tubePx }}
        onPointerLeave={() => onHold(null)}
        onPointerMove={(event) => {
          const y = event.nativeEvent.offsetY
          const own = event.target === event.currentTarget
          if (!own) return
          const index = layers.findIndex(
            (layer) => y - 4 >= layer.topPx - 1 && y - 4 < layer.topPx + layer.heightPx,
          )
          onHold(index < 0 ? null : index)
        }}
      >
        {layers.map(({ band, topPx, heightPx }, index) => (
          <span
            key={band.id}
            data-state={band.state}
            className={[
              'band',
              `stratum-${stratum}`,
              bandLook(band.state),
              seasons.get(band.id) ?? 'summer',
              before.has(band.id) ? '' : 'drop',
              held === index ? 'held' : '',
            ].join(' ')}
            style={{ top: topPx + 3, height: heightPx }}
          />
        ))}
      </span>
      <span className="below">
        <Count node={node} pulse={pulse} />
        {node.cause === null ? <Truth line={node.line} /> : <Trouble cause={node.cause} />}
      </span>
    </>
  )
}
