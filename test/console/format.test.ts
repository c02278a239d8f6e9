import { expect, test } from 'vitest'
import {
  formatAge,
  formatBytes,
  formatCount,
  formatDelta,
  formatDuration,
} from '../../src/console/format.ts'

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1024 * 1023.96, '1.0 MiB'],
  [-1536, '−1.5 KiB'],
  [5 * 2 ** 40, '5.0 TiB'],
])('bytes: %d reads %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

test.each([
  [7, '7'],
  [999, '999'],
  [1000, '1,000'],
  [1_904_772, '1,904,772'],
  [-1200, '−1,200'],
])('counts: %d reads %s', (count, text) => expect(formatCount(count)).toBe(text))

test('a delta always shows its sign', () => {
  expect([3, -2, 0].map((delta) => formatDelta(delta))).toEqual(['+3', '−2', '±0'])
  expect(formatDelta(2048, formatBytes)).toBe('+2.0 KiB')
})

test.each([
  [-5, 'now'],
  [9, 'now'],
  [19, '10 s'],
  [59, '50 s'],
  [60, '1 min'],
  [3600, '1 h'],
  [47 * 3600, '47 h'],
  [48 * 3600, '2 d'],
])('ages: %d s ago reads %s', (seconds, text) => {
  expect(formatAge(1_000_000_000, 1_000_000_000 + seconds * 1000)).toBe(text)
})

test.each([
  [84.4, '84 ms'],
  [2449, '2.4 s'],
  [59_960, '1 min 0 s'],
  [72_000, '1 min 12 s'],
  [7_500_000, '2 h 5 min'],
])('durations: %d ms reads %s', (ms, text) => expect(formatDuration(ms)).toBe(text))
