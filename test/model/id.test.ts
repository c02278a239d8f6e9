import { expect, test } from 'vitest'
import { systemRandom } from '../../src/base/random.ts'
import { idSource, idTimeMs, isId, parseId } from '../../src/model/id.ts'

const frozen = (nowMs: number) => ({
  nowMs: () => nowMs,
  monotonicMs: () => 0,
  sleep: async () => {},
})

test('id: ids of one source rise, also thousands within one millisecond', () => {
  const next = idSource(frozen(1_800_000_000_000), systemRandom)
  const ids = Array.from({ length: 10_000 }, next)
  expect(ids).toEqual([...new Set(ids)].toSorted())
  expect(ids.every(isId)).toBe(true)
  expect(idTimeMs(ids[0]!)).toBe(1_800_000_000_000)
})

test('id: dashes and capitals are read, other versions are refused', () => {
  expect(parseId('0192F0C1-2AB3-7CDE-8F01-23456789ABCD')).toBe('0192f0c12ab37cde8f0123456789abcd')
  expect(() => parseId('0192f0c1-2ab3-4cde-8f01-23456789abcd')).toThrow('not a UUIDv7')
})
