// Nothing here yet: the shape of what will be, and the command that makes it.

import type { ReactElement } from 'react'
import { Command } from './copy.tsx'

export function Empty(): ReactElement {
  return (
    <div className="empty">
      <svg viewBox="0 0 360 96" aria-hidden="true">
        <path
          className="ghost-water"
          d="M8 30C36 30 36 48 64 48M8 48H112M8 66C36 66 36 48 64 48M140 48H196M244 48H296M296 48C324 48 324 30 352 30M296 48H352M296 48C324 48 324 66 352 66"
        />
        <rect className="ghost-tube" x="112" y="12" width="28" height="72" rx="4" />
        <rect className="ghost-a" x="115" y="72" width="22" height="9" rx="1" />
        <rect className="ghost-b" x="115" y="66" width="22" height="5" rx="1" />
        <rect className="ghost-c" x="115" y="58" width="22" height="7" rx="1" />
        <rect className="ghost-a" x="115" y="54" width="22" height="3" rx="1" />
        <rect className="ghost-b" x="115" y="44" width="22" height="9" rx="1" />
        <rect className="ghost-gate" x="196" y="32" width="48" height="32" rx="4" />
        <path className="ghost-posts" d="M196 26v44M244 26v44" />
      </svg>
      <h2>Nothing flows here yet</h2>
      <p className="muted">
        Feeds become layers, gates transform them, results flow out.
        <br />
        A first repo appears here as soon as you make it:
      </p>
      <Command text="varve repo create metrics" />
      <p className="muted">To see a whole river move, start the server with a demo:</p>
      <Command text="varve dev --demo" />
    </div>
  )
}
