// A repo's core sample: its newest commits as bands, oldest at the bottom, as they would lie in mud.

import type { Band } from '../api/graph.ts'
import { bandLook } from './words.ts'

export const BANDS = 24
const GAP_PX = 1
const THINNEST_PX = 2
const THICKEST_PX = 10
/** An outline needs room for its inside. */
const THINNEST_OUTLINE_PX = 5
/** Changes within a factor of four of one another look alike: less than that is no news. */
const LEAST_SPREAD_BITS = 2

export type Season = 'summer' | 'winter'

/**
 * A varve is a couplet, so neighbouring bands differ. A band keeps its season while it is in sight:
 * only new ones get one, the other one of the band below. Ids by season, newest first.
 */
export function seasonsOf(
  ids: readonly string[],
  before: ReadonlyMap<string, Season>,
): ReadonlyMap<string, Season> {
  const seasons = new Map<string, Season>()
  let below: Season = 'winter'
  for (const id of ids.toReversed()) {
    below = before.get(id) ?? (below === 'winter' ? 'summer' : 'winter')
    seasons.set(id, below)
  }
  return seasons
}

export interface Layer {
  readonly band: Band
  /** From the top of the tube. */
  readonly topPx: number
  readonly heightPx: number
}

/**
 * Heights by the logarithm of bytes changed, between the smallest and the largest change in sight;
 * all shrink alike when they would not fit. Bands come newest first and stay so.
 */
export function layersOf(bands: readonly Band[], tubePx: number): readonly Layer[] {
  const shown = bands.slice(0, BANDS)
  const bits = shown.map((band) => Math.log2(1 + Math.abs(band.bytesDelta)))
  const most = Math.max(...bits)
  const spread = Math.max(LEAST_SPREAD_BITS, most - Math.min(...bits))
  const wanted = bits.map((bit, i) => {
    const share = 1 - (most - bit) / spread
    const heightPx = THINNEST_PX + (THICKEST_PX - THINNEST_PX) * share
    const solid = bandLook((shown[i] as Band).state) === 'solid'
    return solid ? heightPx : Math.max(THINNEST_OUTLINE_PX, heightPx)
  })
  const room = tubePx - GAP_PX * shown.length
  const sum = wanted.reduce((total, height) => total + height, 0)
  const shrink = Math.min(1, room / Math.max(1, sum))
  let bottom = tubePx
  const layers: Layer[] = []
  for (let i = shown.length - 1; i >= 0; i--) {
    const heightPx = Math.max(1, (wanted[i] as number) * shrink)
    bottom -= heightPx
    layers.unshift({ band: shown[i] as Band, topPx: bottom, heightPx })
    bottom -= GAP_PX
  }
  return layers
}
