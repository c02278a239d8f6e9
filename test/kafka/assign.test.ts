import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assignPartitions } from '../../src/kafka/assign.ts'

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

test('every partition to one member, as equal as can be, whatever was claimed', () => {
  const claims = fc.uniqueArray(
    fc.record({
      memberId: fc.string({ minLength: 1, maxLength: 3 }),
      generation: fc.integer({ min: -1, max: 3 }),
      partitions: fc.array(fc.integer({ min: 0, max: 80 }), { maxLength: 70 }),
    }),
    { minLength: 1, maxLength: 9, selector: (claim) => claim.memberId },
  )
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 64 }), claims, (count, members) => {
      const given = assignPartitions(upTo(count), members)
      expect([...given.values()].flat().toSorted((a, b) => a - b)).toEqual(upTo(count))
      const sizes = [...given.values()].map((own) => own.length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      expect([...given.keys()].toSorted()).toEqual(members.map((one) => one.memberId).toSorted())
      expect(assignPartitions(upTo(count), members.toReversed())).toEqual(given)
    }),
  )
})

test('who comes takes no more than its share, and the others keep the rest', () => {
  const before = assignPartitions(upTo(10), [
    { memberId: 'a', generation: -1, partitions: [] },
    { memberId: 'b', generation: -1, partitions: [] },
  ])
  const claim = (
    memberId: string,
  ): { memberId: string; generation: number; partitions: number[] } => ({
    memberId,
    generation: 1,
    partitions: before.get(memberId) ?? [],
  })
  const after = assignPartitions(upTo(10), [
    claim('a'),
    claim('b'),
    { memberId: 'c', generation: -1, partitions: [] },
  ])
  for (const one of ['a', 'b'])
    for (const partition of after.get(one) ?? []) expect(before.get(one)).toContain(partition)
  expect(after.get('c')).toHaveLength(3)
  // And back, when it goes.
  const gone = assignPartitions(upTo(10), [
    { ...claim('a'), generation: 2, partitions: after.get('a') ?? [] },
    { ...claim('b'), generation: 2, partitions: after.get('b') ?? [] },
  ])
  for (const one of ['a', 'b'])
    for (const partition of after.get(one) ?? []) expect(gone.get(one)).toContain(partition)
})

test('of two claims to a partition the later one counts', () => {
  const given = assignPartitions(
    [0, 1],
    [
      { memberId: 'a', generation: 4, partitions: [0] },
      { memberId: 'b', generation: 5, partitions: [0] },
    ],
  )
  expect(given).toEqual(
    new Map([
      ['a', [1]],
      ['b', [0]],
    ]),
  )
})
