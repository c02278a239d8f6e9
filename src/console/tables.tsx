// Recent commits and jobs: fixed columns, aligned numbers, newest on top, live.

import type { ReactElement, ReactNode } from 'react'
import type { RecentCommit, RecentJob } from '../api/graph.ts'
import { ShortId } from './copy.tsx'
import { formatAge, formatBytes, formatCount, formatDuration, formatInstant } from './format.ts'
import { commitKey, jobKey } from './river-state.ts'
import { StateWord } from './state-word.tsx'

interface TableProps {
  readonly id: string
  readonly title: string
  readonly empty: ReactNode
  readonly head: ReactNode
  readonly rows: readonly ReactElement[]
}

function Table({ id, title, empty, head, rows }: TableProps): ReactElement {
  return (
    <section className="recent" id={id} tabIndex={-1} aria-label={title}>
      <h2>{title}</h2>
      {rows.length === 0 ? (
        <p className="muted">{empty}</p>
      ) : (
        <div className="scroll">
          <table className={id}>
            <thead>
              <tr>{head}</tr>
            </thead>
            <tbody>{rows}</tbody>
          </table>
        </div>
      )}
    </section>
  )
}

export function Age({
  atMs,
  nowMs,
}: {
  readonly atMs: number
  readonly nowMs: number
}): ReactElement {
  return <time title={formatInstant(atMs)}>{formatAge(atMs, nowMs)}</time>
}

interface CommitsProps {
  readonly commits: readonly RecentCommit[]
  readonly nowMs: number
  readonly title?: string
  readonly empty?: string
}

export function Commits({ commits, nowMs, title, empty }: CommitsProps): ReactElement {
  return (
    <Table
      id="commits"
      title={title ?? 'Recent commits'}
      empty={empty ?? 'No commit yet.'}
      head={
        <>
          <th className="age">age</th>
          <th className="id">id</th>
          <th className="where">repo@branch</th>
          <th className="state-column">state</th>
          <th className="number">files</th>
          <th className="number bytes">bytes</th>
        </>
      }
      rows={commits.map((commit) => (
        <tr key={commitKey(commit)}>
          <td className="age">
            <Age atMs={commit.atMs} nowMs={nowMs} />
          </td>
          <td className="id">
            <ShortId id={commit.id} />
          </td>
          <td className="where" title={`${commit.repo}@${commit.branch}`}>
            {commit.repo}
            <span className="muted">@{commit.branch}</span>
          </td>
          <td className="state-column">
            <StateWord state={commit.state} />
          </td>
          <td className="number">{formatCount(commit.files)}</td>
          <td className="number bytes">{formatBytes(commit.bytes)}</td>
        </tr>
      ))}
    />
  )
}

interface JobsProps {
  readonly jobs: readonly RecentJob[]
  readonly nowMs: number
  readonly title?: string
  readonly empty?: string
}

export function Jobs({ jobs, nowMs, title, empty }: JobsProps): ReactElement {
  return (
    <Table
      id="jobs"
      title={title ?? 'Recent jobs'}
      empty={empty ?? 'No job yet.'}
      head={
        <>
          <th className="age">age</th>
          <th className="id">id</th>
          <th className="where">pipeline</th>
          <th className="state-column">state</th>
          <th className="number">ran</th>
          <th className="number">reused</th>
          <th className="number">failed</th>
          <th className="number took">took</th>
        </>
      }
      rows={jobs.flatMap((job) => {
        const row = (
          <tr key={jobKey(job)} className={job.cause === null ? '' : 'explained'}>
            <td className="age">
              <Age atMs={job.startedAtMs} nowMs={nowMs} />
            </td>
            <td className="id">
              <ShortId id={job.id} />
            </td>
            <td className="where" title={job.pipeline}>
              {job.pipeline}
            </td>
            <td className="state-column">
              <StateWord state={job.state} />
            </td>
            <td className="number">{formatCount(job.ran)}</td>
            <td className="number">{formatCount(job.reused)}</td>
            <td className={job.failed > 0 ? 'number tone-failed' : 'number'}>
              {formatCount(job.failed)}
            </td>
            <td className="number took">
              {job.endedAtMs === null ? '' : formatDuration(job.endedAtMs - job.startedAtMs)}
            </td>
          </tr>
        )
        if (job.cause === null) return [row]
        return [
          row,
          <tr key={`${jobKey(job)} cause`} className="why">
            <td className="age" />
            <td colSpan={7} title={job.cause}>
              {job.cause}
            </td>
          </tr>,
        ]
      })}
    />
  )
}
