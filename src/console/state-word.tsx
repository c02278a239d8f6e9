// A state: its word, its shape, its colour, always together.

import type { ReactElement } from 'react'
import { lookOf } from './words.ts'
import type { Shape } from './words.ts'

const PATHS: Readonly<Record<Shape, ReactElement>> = {
  dot: <circle cx="6" cy="6" r="3.5" fill="currentColor" />,
  ring: <circle cx="6" cy="6" r="3.25" />,
  check: <path d="M2.5 6.5l2.5 2.5 4.5-5.5" />,
  cross: <path d="M3 3l6 6M9 3l-6 6" />,
  pause: <path d="M4.25 2.75v6.5M7.75 2.75v6.5" />,
  square: <rect x="3" y="3" width="6" height="6" rx="1" />,
  triangle: <path d="M6 2.5l4 7h-8z" />,
  skip: <path d="M2.5 3l3 3-3 3M6.5 3l3 3-3 3" />,
}

export function Glyph({ shape }: { readonly shape: Shape }): ReactElement {
  return (
    <svg className="glyph" viewBox="0 0 12 12" aria-hidden="true">
      {PATHS[shape]}
    </svg>
  )
}

export function StateWord({ state }: { readonly state: string }): ReactElement {
  const { tone, shape } = lookOf(state)
  return (
    <span className={`state tone-${tone}`} title={state}>
      <Glyph shape={shape} />
      <span className="word">{state}</span>
    </span>
  )
}
