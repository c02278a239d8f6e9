// What one node is, beside the river: the trouble first, then what it did last, then how to see more.

import { useEffect, useRef } from 'react'
import type { ReactElement, ReactNode } from 'react'
import type { Graph, GraphNode } from '../api/graph.ts'
import type { Address } from './address.ts'
import { formatAddress } from './address.ts'
import { commandsFor } from './commands.ts'
import { Command, ShortId } from './copy.tsx'
import { formatBytes, formatCount, formatDelta } from './format.ts'
import type { Go } from './hooks.ts'
import { podsOf } from './nodes.tsx'
import { shortSource } from './readout.tsx'
import { StateWord } from './state-word.tsx'
import { Age, Commits, Jobs } from './tables.tsx'

interface DrawerProps {
  readonly label: string
  readonly onClose: () => void
  readonly children: ReactNode
}

export function Drawer({ label, onClose, children }: DrawerProps): ReactElement {
  const aside = useRef<HTMLElement>(null)
  useEffect(() => {
    // In braces: scrolling answers with a promise in some browsers, and an effect must not.
    aside.current?.scrollTo(0, 0)
  }, [label])
  return (
    <aside className="drawer" tabIndex={-1} aria-label={label} ref={aside}>
      <button
        type="button"
        className="close"
        onClick={onClose}
        aria-label="close (Escape)"
        title="close (Escape)"
      >
        <svg viewBox="0 0 12 12" aria-hidden="true">
          <path d="M2 2l8 8M10 2l-8 8" />
        </svg>
      </button>
      {children}
    </aside>
  )
}

interface NodeViewProps {
  readonly graph: Graph
  readonly node: GraphNode
  readonly address: Address
  readonly go: Go
  readonly nowMs: number
}

export function NodeView({ graph, node, address, go, nowMs }: NodeViewProps): ReactElement {
  const link = (key: string): ReactElement => {
    const target = graph.nodes.find((other) => other.key === key)
    return (
      <a
        key={key}
        href={formatAddress({ ...address, node: key })}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return
          event.preventDefault()
          go({ node: key })
        }}
      >
        <span className="muted">{target?.kind ?? ''} </span>
        {target?.name ?? key}
      </a>
    )
  }
  const above = graph.edges.filter((edge) => edge.to === node.key).map((edge) => edge.from)
  const below = graph.edges.filter((edge) => edge.from === node.key).map((edge) => edge.to)
  const near = new Set([...above, ...below])
  const jobs = graph.jobs.filter((job) => node.kind === 'pipeline' && job.pipeline === node.name)
  const truth = [podsOf(node), node.line].filter((part) => part !== '').join(' · ')
  return (
    <>
      <header>
        <p className="kind">{node.kind}</p>
        <h2 title={node.name}>{node.name}</h2>
        <p className="facts">
          <StateWord state={node.state} />
          <span>
            {formatCount(node.count)} {node.countUnit}
          </span>
        </p>
        {truth !== '' && <p className="muted">{truth}</p>}
      </header>
      {node.cause && (
        <section className={`explanation ${node.state === 'failed' ? 'failed' : ''}`}>
          <p className="cause">{node.cause.text}</p>
          <p className="remedy">→ {node.cause.remedy}</p>
        </section>
      )}
      <dl>
        {node.address !== null && (
          <>
            <dt>at</dt>
            <dd>
              <code>{node.address}</code>
            </dd>
          </>
        )}
        {above.length > 0 && (
          <>
            <dt>from</dt>
            <dd>{above.map(link)}</dd>
          </>
        )}
        {below.length > 0 && (
          <>
            <dt>to</dt>
            <dd>{below.map(link)}</dd>
          </>
        )}
      </dl>
      {node.kind === 'repo' && <Layers node={node} nowMs={nowMs} />}
      {node.kind === 'pipeline' && (
        <Jobs
          jobs={jobs}
          nowMs={nowMs}
          title="Its jobs"
          empty="None among the newest jobs of the project."
        />
      )}
      {(node.kind === 'feed' || node.kind === 'egress') && (
        <Commits
          commits={graph.commits.filter((commit) => near.has(`repo:${commit.repo}`))}
          nowMs={nowMs}
          title={node.kind === 'feed' ? 'What it became' : 'What it takes'}
          empty="None among the newest commits of the project."
        />
      )}
      <section>
        <h3>More, in a terminal</h3>
        {commandsFor(node, jobs, graph.project).map((command) => (
          <Command key={command} text={command} />
        ))}
      </section>
    </>
  )
}

function Layers({
  node,
  nowMs,
}: {
  readonly node: GraphNode
  readonly nowMs: number
}): ReactElement {
  return (
    <section className="recent">
      <h3>Its newest layers</h3>
      <div className="scroll">
        <table className="layers">
          <thead>
            <tr>
              <th className="age">age</th>
              <th className="id">id</th>
              <th className="state-column">state</th>
              <th className="number">files</th>
              <th className="number bytes">bytes</th>
            </tr>
          </thead>
          <tbody>
            {node.bands.map((band) => (
              <tr
                key={band.id}
                title={`from ${band.from.map(shortSource).join(', ') || `a ${band.origin}`}`}
              >
                <td className="age">
                  <Age atMs={band.atMs} nowMs={nowMs} />
                </td>
                <td className="id">
                  <ShortId id={band.id} />
                </td>
                <td className="state-column">
                  <StateWord state={band.state} />
                </td>
                <td className="number">{formatDelta(band.filesDelta)}</td>
                <td className="number bytes">{formatDelta(band.bytesDelta, formatBytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
