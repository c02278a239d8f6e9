import { expect, test } from 'vitest'
import type { Band } from '../../src/api/graph.ts'
import { BANDS, layersOf, seasonsOf } from '../../src/console/layers.ts'
import { bandLook, lookOf } from '../../src/console/words.ts'
import { bandsOf } from './rivers.ts'

const TUBE_PX = 112
const bands = bandsOf({ count: 40, nowMs: 1e12, everyMs: 1000, from: 'feed:a', bytes: 10_000 })

test('a full core sample shows the newest 24, in order, within its tube and without overlap', () => {
  const layers = layersOf(bands, TUBE_PX)
  expect(layers.map((layer) => layer.band.id)).toEqual(bands.slice(0, BANDS).map((band) => band.id))
  expect(layers[0]?.topPx).toBeGreaterThanOrEqual(0)
  for (const [i, layer] of layers.entries()) {
    const below = layers[i + 1]?.topPx ?? TUBE_PX
    expect(layer.topPx + layer.heightPx).toBeLessThanOrEqual(below + 1e-9)
    expect(layer.heightPx).toBeGreaterThanOrEqual(1)
  }
})

test('few layers lie at the bottom', () => {
  const layers = layersOf(bands.slice(0, 2), TUBE_PX)
  expect((layers[1]?.topPx ?? 0) + (layers[1]?.heightPx ?? 0)).toBe(TUBE_PX)
  expect(layers[0]?.topPx).toBeGreaterThan(TUBE_PX / 2)
  expect(layersOf([], TUBE_PX)).toEqual([])
})

test('a larger change is a thicker band, a removal counts by its size', () => {
  const change = (bytesDelta: number): Band => ({ ...(bands[0] as Band), bytesDelta })
  const [large, small, removal] = layersOf(
    [change(1_000_000), change(100), change(-1_000_000)],
    TUBE_PX,
  )
  expect(large?.heightPx).toBeGreaterThan(small?.heightPx ?? Infinity)
  expect(removal?.heightPx).toBe(large?.heightPx)
})

test('an outline has room for its inside, however little changed', () => {
  const nothing = { ...(bands[0] as Band), bytesDelta: 0 }
  const [failed, finished] = layersOf(
    [{ ...nothing, state: 'failed' }, nothing, bands[1] as Band],
    TUBE_PX,
  )
  expect(failed?.heightPx).toBeGreaterThanOrEqual(5)
  expect(finished?.heightPx).toBe(2)
})

test('a band is solid, forming or hollow by its state', () => {
  const looks = [
    'finished',
    'open',
    'queued',
    'running',
    'failed',
    'unrunnable',
    'superseded',
    'stopped',
  ]
  expect(looks.map(bandLook).join(' ')).toBe(
    'solid outlined outlined outlined hollow hollow hollow hollow',
  )
})

test('a waiting state looks like waiting whatever it waits for, and an unknown one does too', () => {
  expect(lookOf('waiting: gpu · 0 of 1 free')).toEqual(lookOf('waiting'))
  expect(lookOf('levitating')).toEqual(lookOf('waiting'))
  expect(lookOf('failed')).toEqual({ tone: 'failed', shape: 'cross' })
})

test('neighbouring bands differ, and a band keeps its season when others come and go', () => {
  const first = seasonsOf(['c', 'b', 'a'], new Map())
  expect([...first.values()]).toEqual(['summer', 'winter', 'summer'])
  const later = seasonsOf(['e', 'd', 'c', 'b'], first)
  for (const id of ['b', 'c']) expect(later.get(id)).toBe(first.get(id))
  expect(later.get('d')).not.toBe(later.get('c'))
  expect(later.get('e')).not.toBe(later.get('d'))
})
