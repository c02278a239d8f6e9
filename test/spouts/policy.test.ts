import { expect, test } from 'vitest'
import { whenDue } from '../../src/spouts/policy.ts'
import type { InHand } from '../../src/spouts/policy.ts'

const POLICY = { records: 10, bytes: 1_000, ageMs: 500, idleMs: 100, minIntervalMs: 0 }

function hand(more: Partial<InHand>): InHand {
  return {
    records: 1,
    bytes: 10,
    pinned: false,
    firstMs: 1_000,
    newestMs: 1_000,
    committedMs: null,
    ...more,
  }
}

test.each([
  ['nothing in hand', { records: 0, firstMs: null, newestMs: null }, null],
  ['moved on without a record', { records: 0 }, null],
  ['a feed first met', { records: 0, pinned: true }, { atMs: 1_100, why: 'idle' }],
  ['records trickle', { newestMs: 1_450 }, { atMs: 1_500, why: 'age' }],
  ['records stopped', { newestMs: 1_200 }, { atMs: 1_300, why: 'idle' }],
  ['so many records', { records: 10 }, { atMs: 1_000, why: 'records' }],
  ['so many bytes', { bytes: 1_000 }, { atMs: 1_000, why: 'bytes' }],
])('%s', (_name, more, due) => {
  expect(whenDue(hand(more), POLICY)).toEqual(due)
})

test('a minimum interval holds even a full range back, and nothing sooner', () => {
  const policy = { ...POLICY, minIntervalMs: 2_000 }
  const full = hand({ records: 10, committedMs: 900 })
  expect(whenDue(full, policy)).toEqual({ atMs: 2_900, why: 'interval' })
  expect(whenDue({ ...full, committedMs: -5_000 }, policy)).toEqual({ atMs: 1_000, why: 'records' })
})
