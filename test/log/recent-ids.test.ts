import fc from 'fast-check'
import { expect, test } from 'vitest'

import { fromHex, toHex } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import { RecentIds } from '../../src/log/recent-ids.ts'
import type { Id } from '../../src/model/id.ts'

test('it is a map of the newest ids, through growth, overflow and letting go', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 1, max: 5_000 }),
      fc.array(fc.record({ add: fc.nat(1500), dropTo: fc.nat(6_000) }), { maxLength: 6 }),
      (seed, first, steps) => {
        const random = seededRandom(seed)
        const ids = new RecentIds(2048, seed)
        const model: { id: Id; seq: number; atMs: number }[] = []
        const gone: Id[] = []
        let seq = first
        for (const { add, dropTo } of steps) {
          for (let i = 0; i < add; i++, seq++) {
            const id = toHex(random.bytes(16)) as Id
            ids.add(id, seq, seq)
            model.push({ id, seq, atMs: seq })
            if (model.length > 2048) gone.push(model.shift()!.id)
          }
          ids.dropBefore(dropTo)
          while (model[0] && model[0].atMs < dropTo) gone.push(model.shift()!.id)
          // Emptied, it may go on anywhere.
          if (model.length === 0) seq += 10
          expect(ids.size).toBe(model.length)
          for (const one of model) {
            if (ids.get(one.id) !== one.seq) throw new Error(`lost ${one.id}`)
            if (ids.timeOf(one.seq) !== one.atMs) throw new Error(`time of ${one.seq}`)
          }
          for (const id of gone) if (ids.get(id) !== undefined) throw new Error(`kept ${id}`)
          expect(ids.timeOf(seq)).toBeUndefined()
        }
      },
    ),
    { numRuns: 30 },
  )
})

test('ids that differ in one bit are different', () => {
  const ids = new RecentIds(1024, 1)
  const id = toHex(seededRandom(1).bytes(16)) as Id
  ids.add(id, 1, 1)
  for (let bit = 0; bit < 128; bit++) {
    const other = fromHex(id)
    other[bit >> 3]! ^= 1 << (bit & 7)
    expect(ids.get(toHex(other) as Id)).toBeUndefined()
  }
})
