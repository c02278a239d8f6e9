// The page at "/": a quiet head, the river, the drawer beside it, what happened last below.

import { useEffect, useRef } from 'react'
import type { ReactElement } from 'react'
import type { Graph } from '../api/graph.ts'
import { DEFAULT_PROJECT } from '../model/name.ts'
import type { Address } from './address.ts'
import { Drawer, NodeView } from './drawer.tsx'
import { Empty } from './empty.tsx'
import { Help } from './help.tsx'
import { useAddress, useNowMs, useRiver } from './hooks.ts'
import type { Go } from './hooks.ts'
import { warmLayout } from './layout.ts'
import { River } from './river.tsx'
import type { Link } from './river-state.ts'
import { Commits, Jobs } from './tables.tsx'
import { Glyph } from './state-word.tsx'
import { lookOf } from './words.ts'

export function App(): ReactElement {
  const [address, go] = useAddress()
  const { graph, link, pulses } = useRiver(address.project)
  const nowMs = useNowMs()
  const find = useRef<HTMLInputElement>(null)
  const node = graph?.nodes.find((other) => other.key === address.node)
  const title = node ? `${node.name} · Varve` : 'Varve'
  const close = (): void => {
    const back = address.node
    go({ node: null, help: false })
    if (back !== null) document.getElementById(`node-${back}`)?.focus()
  }
  useKeys(address, go, close, find)
  useEffect(() => {
    document.title = title
  }, [title])
  useEffect(warmLayout, [])
  const matches = (name: string): boolean => name.toLowerCase().includes(address.find.toLowerCase())
  const open = address.help || node !== undefined
  return (
    <div className={open ? 'page open' : 'page'}>
      <header className="head">
        <h1>
          <Mark /> varve
          {address.project !== DEFAULT_PROJECT && (
            <span className="muted"> / {address.project}</span>
          )}
        </h1>
        {graph && (link.problem ? <Problem link={link} /> : <Summary graph={graph} go={go} />)}
        <span className="spring" />
        <input
          ref={find}
          type="search"
          className="find"
          placeholder="Find  /"
          aria-label="find by name"
          value={address.find}
          onChange={(event) => go({ find: event.target.value }, 'replace')}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return
            const first = graph?.nodes.find((other) => matches(other.name))
            if (first) go({ node: first.key, help: false })
          }}
        />
        <LinkWord link={link} />
        <button
          type="button"
          className="ask"
          aria-label="help (?)"
          title="help (?)"
          onClick={() => go({ help: !address.help })}
        >
          ?
        </button>
      </header>
      <main>
        {!graph && link.problem && <Problem link={link} />}
        {graph && graph.nodes.length === 0 && <Empty />}
        {graph && graph.nodes.length > 0 && (
          <>
            <River graph={graph} pulses={pulses} address={address} go={go} nowMs={nowMs} />
            <div className="tables">
              <Commits
                commits={graph.commits.filter((commit) => matches(commit.repo))}
                nowMs={nowMs}
                {...(address.find === ''
                  ? {}
                  : { empty: `No commit of a repo named like "${address.find}".` })}
              />
              <Jobs
                jobs={graph.jobs.filter((job) => matches(job.pipeline))}
                nowMs={nowMs}
                {...(address.find === ''
                  ? {}
                  : { empty: `No job of a pipeline named like "${address.find}".` })}
              />
            </div>
          </>
        )}
      </main>
      {address.help && (
        <Drawer label="help" onClose={close}>
          <Help />
        </Drawer>
      )}
      {graph && node && !address.help && (
        <Drawer label={`${node.kind} ${node.name}`} onClose={close}>
          <NodeView graph={graph} node={node} address={address} go={go} nowMs={nowMs} />
        </Drawer>
      )}
    </div>
  )
}

function Mark(): ReactElement {
  return (
    <svg className="mark" viewBox="0 0 16 16" aria-hidden="true">
      <rect className="mark-a" x="2" y="1" width="12" height="3" rx="1" />
      <rect className="mark-b" x="2" y="5" width="12" height="2" rx="1" />
      <rect className="mark-c" x="2" y="8" width="12" height="4" rx="1" />
      <rect className="mark-d" x="2" y="13" width="12" height="2" rx="1" />
    </svg>
  )
}

/** What stands in the way, if anything: the first thing anybody looks for. */
function Summary({ graph, go }: { readonly graph: Graph; readonly go: Go }): ReactElement | null {
  const troubled = graph.nodes.filter((node) => node.cause !== null)
  if (graph.nodes.length === 0) return null
  if (troubled.length === 0) return <p className="summary muted">{census(graph)}</p>
  return (
    <nav className="summary" aria-label="what needs attention">
      {troubled.slice(0, 3).map((node) => (
        <button
          key={node.key}
          type="button"
          className={node.state === 'failed' ? 'tone-failed' : 'tone-attention'}
          title={node.cause?.text}
          onClick={() => go({ node: node.key, help: false })}
        >
          <Glyph shape={lookOf(node.state).shape} />
          <span className="word">{node.name}</span>
        </button>
      ))}
      {troubled.length > 3 && <span className="muted">and {troubled.length - 3} more</span>}
    </nav>
  )
}

/** `1 feed · 3 repos · 2 pipelines · 1 egress`: the four nouns, in the river's own order. */
function census(graph: Graph): string {
  return (['feed', 'repo', 'pipeline', 'egress'] as const)
    .map((kind) => {
      const count = graph.nodes.filter((node) => node.kind === kind).length
      return `${count} ${kind}${count === 1 || kind === 'egress' ? '' : 's'}`
    })
    .join(' · ')
}

function LinkWord({ link }: { readonly link: Link }): ReactElement {
  const word = { connecting: 'connecting', live: 'live', lost: 'reconnecting', refused: 'refused' }[
    link.state
  ]
  return (
    <span className={`link link-${link.state}`} role="status">
      <span className="lamp" aria-hidden="true" />
      <span className="link-word">{word}</span>
    </span>
  )
}

function Problem({ link }: { readonly link: Link }): ReactElement | null {
  if (link.problem === null) return null
  return (
    <p className="summary problem" role="status">
      {link.problem.text} <span className="muted">→ {link.problem.remedy}</span>{' '}
      {link.state === 'refused' && <code>{link.problem.code}</code>}
    </p>
  )
}

function useKeys(
  address: Address,
  go: Go,
  close: () => void,
  find: React.RefObject<HTMLInputElement | null>,
): void {
  const went = useRef(false)
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.metaKey || event.ctrlKey || event.altKey) return
      const typing = event.target instanceof HTMLInputElement
      if (event.key === 'Escape') {
        if (typing) {
          if (address.find !== '') go({ find: '' }, 'replace')
          event.target.blur()
        } else if (address.help || address.node !== null) close()
        return
      }
      if (typing) return
      const after = went.current
      went.current = event.key === 'g'
      if (event.key === '/') {
        event.preventDefault()
        find.current?.focus()
      } else if (event.key === '?') go({ help: !address.help })
      else if (after) {
        const target = { r: '.river .node', c: '#commits', j: '#jobs' }[event.key]
        const element =
          target === undefined ? null : document.querySelector<HTMLElement>(`main ${target}`)
        element?.focus()
        if (element) event.stopPropagation()
      }
    }
    // Before the river hears it: `g j` is not a step through a repo's layers.
    addEventListener('keydown', onKey, true)
    return () => removeEventListener('keydown', onKey, true)
  })
}
