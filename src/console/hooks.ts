// The page's ties to the browser: its clock, its address, its width, the server's stream.

import { useCallback, useEffect, useReducer, useState } from 'react'
import type { RefObject } from 'react'
import { systemClock } from '../base/clock.ts'
import { formatAddress, parseAddress } from './address.ts'
import type { Address } from './address.ts'
import { followGraph } from './live.ts'
import { START, reduceRiver } from './river-state.ts'
import type { RiverState } from './river-state.ts'

const AGE_TICK_MS = 10_000

/** The present, in steps as coarse as the ages it is shown in. */
export function useNowMs(): number {
  const [nowMs, setNowMs] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), AGE_TICK_MS)
    return () => clearInterval(timer)
  }, [])
  return nowMs
}

export type Go = (change: Partial<Address>, how?: 'push' | 'replace') => void

export function useAddress(): readonly [Address, Go] {
  const [address, setAddress] = useState(() => parseAddress(location.search))
  useEffect(() => {
    // What is not ours to keep, above all a token, leaves the address bar and the history.
    const own = formatAddress(parseAddress(location.search))
    if (own !== location.search) history.replaceState(null, '', location.pathname + own)
    const back = (): void => setAddress(parseAddress(location.search))
    addEventListener('popstate', back)
    return () => removeEventListener('popstate', back)
  }, [])
  const go = useCallback<Go>((change, how = 'push') => {
    const next = { ...parseAddress(location.search), ...change }
    const text = formatAddress(next)
    if (text !== location.search) {
      const target = location.pathname + text
      if (how === 'push') history.pushState(null, '', target)
      else history.replaceState(null, '', target)
    }
    setAddress(next)
  }, [])
  return [address, go]
}

export function useRiver(project: string): RiverState {
  const [state, dispatch] = useReducer(reduceRiver, START)
  useEffect(() => {
    const over = new AbortController()
    dispatch({ type: 'project' })
    void followGraph({
      project,
      fetch: (...request) => fetch(...request),
      sleep: (ms, signal) => systemClock.sleep(ms, signal),
      signal: over.signal,
      onEvent: (event) => dispatch({ type: 'event', event, atMs: Date.now() }),
      onLink: (link) => dispatch({ type: 'link', link }),
    })
    return () => over.abort()
  }, [project])
  return state
}

/** Inner width in CSS pixels; 0 before the first measure. */
export function useWidthPx(element: RefObject<HTMLElement | null>): number {
  const [widthPx, setWidthPx] = useState(0)
  useEffect(() => {
    const target = element.current
    if (!target) return
    const observer = new ResizeObserver(() => setWidthPx(target.clientWidth))
    observer.observe(target)
    setWidthPx(target.clientWidth)
    return () => observer.disconnect()
  }, [element])
  return widthPx
}
