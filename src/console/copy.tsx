// What can be copied: an id seen by its last eight characters, and a command.

import { useEffect, useState } from 'react'
import type { ReactElement } from 'react'
import { shortId } from '../model/id.ts'

const SAID_MS = 1200

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Pages served over plain HTTP from another machine have no clipboard of that kind.
    const area = document.createElement('textarea')
    area.value = text
    area.className = 'copy-source'
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

function useCopied(text: string): readonly [boolean, () => void] {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), SAID_MS)
    return () => clearTimeout(timer)
  }, [copied])
  return [copied, () => void copy(text).then(setCopied)]
}

export function ShortId({ id }: { readonly id: string }): ReactElement {
  const [copied, start] = useCopied(id)
  return (
    <button
      type="button"
      className="id"
      title={`${id} (click copies it)`}
      aria-label={`copy id ${id}`}
      onClick={start}
    >
      <span aria-live="polite">{copied ? 'copied' : shortId(id)}</span>
    </button>
  )
}

export function Command({ text }: { readonly text: string }): ReactElement {
  const [copied, start] = useCopied(text)
  return (
    <button type="button" className="command" title="click copies it" onClick={start}>
      <code>{text}</code>
      <span className="copy-word" aria-live="polite">
        {copied ? 'copied' : 'copy'}
      </span>
    </button>
  )
}
