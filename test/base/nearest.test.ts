import { expect, test } from 'vitest'
import { nearest } from '../../src/base/nearest.ts'

test.each([
  ['trasnform', 'transform'],
  ['Image', 'image'],
  ['evnets', 'events'],
  ['xyz', undefined],
])('nearest: %s → %s', (wrong, meant) => {
  expect(nearest(wrong, ['transform', 'image', 'events', 'parallelismSpec'])).toBe(meant)
})
