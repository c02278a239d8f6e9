// One band of a core sample, read closely.

import type { ReactElement } from 'react'
import type { Band } from '../api/graph.ts'
import { shortId } from '../model/id.ts'
import { formatAge, formatBytes, formatCount, formatDelta } from './format.ts'
import { StateWord } from './state-word.tsx'

/** `metrics@master=0190…4f2c` with its id as short as ids are everywhere. */
export function shortSource(from: string): string {
  const at = from.lastIndexOf('=')
  return at < 0 ? from : `${from.slice(0, at)} ${shortId(from.slice(at + 1))}`
}

export function Readout({
  band,
  nowMs,
}: {
  readonly band: Band
  readonly nowMs: number
}): ReactElement {
  return (
    <>
      <span className="row">
        <code>{shortId(band.id)}</code>
        <StateWord state={band.state} />
        <span className="muted">{formatAge(band.atMs, nowMs)}</span>
      </span>
      <span className="row numbers">
        <span>
          {formatDelta(band.filesDelta)} files{' '}
          <span className="muted">of {formatCount(band.files)}</span>
        </span>
        <span>
          {formatDelta(band.bytesDelta, formatBytes)}{' '}
          <span className="muted">of {formatBytes(band.bytes)}</span>
        </span>
      </span>
      <span className="row muted">
        {band.from.length === 0
          ? `from a ${band.origin}`
          : `from ${band.from.map(shortSource).join(', ')}`}
      </span>
    </>
  )
}
