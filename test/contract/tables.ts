// What every adapter of the port Tables promises. `make` gives a fresh, empty store that knows FACTS,
// WIDE and GUARDED.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { AssertionError } from '../../src/base/assert.ts'
import { defineTable } from '../../src/tables/schema.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { Row, RowOf } from '../../src/tables/schema.ts'
import { settle } from '../../src/tables/settle.ts'
import { putFact, removeFact } from '../../src/tables/tables.ts'
import type { Tables } from '../../src/tables/tables.ts'

export const FACTS = defineTable({
  name: 'facts',
  kind: 'facts',
  partition: ['p'],
  clustering: ['a', 'b'],
  descending: ['b'],
  columns: { p: 'text', a: 'int', b: 'text', value: 'text', body: 'bytes', flag: 'bool' },
})
/** A wide key whose columns all run downwards. */
export const WIDE = defineTable({
  name: 'wide',
  kind: 'facts',
  partition: ['p', 'q'],
  clustering: ['seq', 'part'],
  descending: ['seq', 'part'],
  columns: { p: 'text', q: 'int', seq: 'int', part: 'bytes', value: 'int' },
})
export const GUARDED = defineTable({
  name: 'guarded',
  kind: 'guarded',
  partition: ['p'],
  clustering: ['row'],
  columns: { p: 'text', row: 'int', head: 'int', text: 'text', write_id: 'text' },
})
export const CONTRACT_TABLES = [FACTS, WIDE, GUARDED] as const

type Fact = RowOf<typeof FACTS>

const guests = { clock: systemClock, random: systemRandom }

async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const row of rows) all.push(row)
  return all
}

const text = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom('', 'a', 'ab', 'b', 'é', '\u{10ffff}', '\uffee'),
    fc.string({ unit: 'grapheme', maxLength: 6 }),
  )

export function tablesContract(name: string, make: () => Promise<Tables>): void {
  describe(`tables: ${name}`, () => {
    let tables: Tables
    beforeAll(async () => {
      tables = await make()
    })
    afterAll(() => tables.close())
    let next = 0
    const fresh = (): string => `p${next++}`

    test('a row comes back as it was put, absent columns absent', async () => {
      const p = fresh()
      const row: Fact = { p, a: -5, b: 'ü\u{1f600}', body: new Uint8Array([0, 255]), flag: false }
      expect(await tables.get(FACTS, { p, a: -5, b: row.b })).toBeUndefined()
      await tables.put(FACTS, [row], 1)
      expect(await tables.get(FACTS, { p, a: -5, b: row.b })).toEqual(row)
      await tables.put(FACTS, [{ p, a: -5, b: row.b, value: '' }], 2)
      expect(await tables.get(FACTS, { p, a: -5, b: row.b })).toEqual({
        p,
        a: -5,
        b: row.b,
        value: '',
      })
    })

    test('the higher version wins in whatever order writes arrive, removes included', async () => {
      const p = fresh()
      const key = { p, a: 0, b: '' }
      await tables.put(FACTS, [{ ...key, value: 'three' }], 3)
      await tables.put(FACTS, [{ ...key, value: 'two' }], 2)
      expect((await tables.get(FACTS, key))?.value).toBe('three')
      await tables.remove(FACTS, key, 5)
      await tables.put(FACTS, [{ ...key, value: 'four' }], 4)
      expect(await tables.get(FACTS, key)).toBeUndefined()
      expect(await collect(tables.scan(FACTS, { p }))).toEqual([])
      await tables.put(FACTS, [{ ...key, value: 'six' }], 6)
      await tables.remove(FACTS, key, 5)
      expect((await tables.get(FACTS, key))?.value).toBe('six')
      // A remove before its put, of a row that never was.
      await tables.remove(FACTS, { ...key, a: 1 }, 9)
      await tables.put(FACTS, [{ ...key, a: 1 }], 8)
      expect(await tables.get(FACTS, { ...key, a: 1 })).toBeUndefined()
    })

    test('a write repeated at its version is harmless; a different one is a bug', async () => {
      const p = fresh()
      const row: Fact = { p, a: 0, b: '', value: 'x', body: new Uint8Array([1]) }
      await tables.put(FACTS, [row], 7)
      await tables.put(FACTS, [row], 7)
      await expect(tables.put(FACTS, [{ ...row, body: new Uint8Array([2]) }], 7)).rejects.toThrow(
        AssertionError,
      )
      await expect(tables.remove(FACTS, row, 7)).rejects.toThrow(AssertionError)
      expect(await tables.get(FACTS, row)).toEqual(row)
    })

    test('wrong types, missing keys, unsafe integers and mixed kinds are refused', async () => {
      const p = fresh()
      const put = (row: object): Promise<void> => tables.put(FACTS, [row as Fact], 1)
      await expect(put({ p, a: '1', b: '' })).rejects.toThrow(AssertionError)
      await expect(put({ p, a: 1 })).rejects.toThrow(AssertionError)
      await expect(put({ p, a: 2 ** 53, b: '' })).rejects.toThrow(AssertionError)
      await expect(
        put({ p, a: 1, b: '', extra: 1, value: 'v', body: new Uint8Array(), flag: true }),
      ).rejects.toThrow(AssertionError)
      const facts = GUARDED as unknown as typeof FACTS
      await expect(tables.put(facts, [{ p, a: 1, b: '' }], 1)).rejects.toThrow(AssertionError)
      expect(await collect(tables.scan(FACTS, { p }))).toEqual([])
    })

    test('apply writes several tables in order', async () => {
      const p = fresh()
      await tables.apply([
        putFact(FACTS, { p, a: 1, b: 'x' }, 1),
        putFact(WIDE, { p, q: 2, seq: 3, part: new Uint8Array([4]), value: 5 }, 1),
        removeFact(FACTS, { p, a: 1, b: 'x' }, 2),
      ])
      expect(await collect(tables.scan(FACTS, { p }))).toEqual([])
      expect(await collect(tables.scan(WIDE, { p, q: 2 }))).toEqual([
        { p, q: 2, seq: 3, part: new Uint8Array([4]), value: 5 },
      ])
    })

    test('random puts, removes and scans agree with a plain model', async () => {
      const key = fc.record({ a: fc.integer({ min: -2, max: 3 }), b: text() })
      const step = fc.record({
        key,
        at: fc.nat(6),
        gone: fc.boolean(),
        body: fc.option(fc.uint8Array({ maxLength: 3 })),
      })
      const bound = fc.option(fc.oneof(key, fc.record({ a: fc.integer({ min: -3, max: 4 }) })), {
        nil: undefined,
      })
      const look = fc.record({
        after: bound,
        before: bound,
        reverse: fc.boolean(),
        limit: fc.constantFrom(1, 2, 100),
      })
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { maxLength: 60 }),
          fc.array(look, { maxLength: 12 }),
          async (steps, looks) => {
            const p = fresh()
            const model = new Map<string, { row: Fact; at: number; gone: boolean }>()
            for (const {
              key: { a, b },
              at,
              gone,
              body,
            } of steps) {
              const name = JSON.stringify([a, b])
              const old = model.get(name)
              if (old?.at === at) continue
              const row: Fact = { p, a, b, value: `${at}`, ...(body ? { body } : {}) }
              await (gone ? tables.remove(FACTS, { p, a, b }, at) : tables.put(FACTS, [row], at))
              if (!old || old.at < at) model.set(name, { row, at, gone })
            }
            const order = (x: { a: number; b?: string }, y: { a: number; b?: string }): number =>
              x.a - y.a ||
              (x.b === undefined || y.b === undefined
                ? 0
                : -Buffer.compare(Buffer.from(x.b), Buffer.from(y.b)))
            const rows = [...model.values()]
              .filter(({ gone }) => !gone)
              .map(({ row }) => row)
              .toSorted(order)
            for (const { after, before, reverse, limit } of [
              ...looks,
              { reverse: false, limit: 1e9 } as const,
            ] as typeof looks) {
              const sign = reverse ? -1 : 1
              const wanted = (reverse ? rows.toReversed() : rows)
                .filter((row) => !after || sign * order(row, after) > 0)
                .filter((row) => !before || sign * order(row, before) < 0)
                .slice(0, limit)
              const options = {
                reverse,
                limit,
                ...(after ? { after } : {}),
                ...(before ? { before } : {}),
              }
              expect(await collect(tables.scan(FACTS, { p }, options))).toEqual(wanted)
            }
          },
        ),
        { numRuns: 40 },
      )
    })

    test('a scan of many rows comes in order over all its pages', async () => {
      const p = fresh()
      const rows = Array.from({ length: 1_500 }, (_, i) => ({
        p,
        q: 0,
        seq: i >> 1,
        part: new Uint8Array([i & 1]),
        value: i,
      }))
      await tables.put(
        WIDE,
        rows.toSorted((x, y) => ((x.value * 7919) % 1500) - ((y.value * 7919) % 1500)),
        1,
      )
      expect((await collect(tables.scan(WIDE, { p, q: 0 }))).map((row) => row.value)).toEqual(
        rows.map((row) => row.value).toReversed(),
      )
      const up = await collect(
        tables.scan(WIDE, { p, q: 0 }, { reverse: true, after: { seq: 2 }, limit: 1_000 }),
      )
      expect(up.map((row) => row.value)).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 6))
      expect(await collect(tables.scan(WIDE, { p, q: 1 }))).toEqual([])
    })

    test('a conditional write applies when its condition holds, else names what stands', async () => {
      const p = fresh()
      const key = { p, row: 0 }
      const write = (
        head: number,
        is: 'absent' | Partial<RowOf<typeof GUARDED>>,
        writeId: string,
      ) =>
        tables.writeIf(GUARDED, {
          partition: { p },
          expect: { key, is },
          put: [
            { ...key, head },
            { p, row: head, text: `block ${head}` },
          ],
          writeId,
        })
      expect(await write(1, { head: 0 }, 'w0')).toEqual({ kind: 'refused', current: undefined })
      expect(await write(1, 'absent', 'w1')).toEqual({ kind: 'applied' })
      expect(await write(1, 'absent', 'w2')).toEqual({
        kind: 'refused',
        current: { p, row: 0, head: 1, write_id: 'w1' },
      })
      expect(await write(2, { head: 1, write_id: 'other' }, 'w3')).toMatchObject({
        kind: 'refused',
      })
      expect(await write(2, { head: 1, write_id: 'w1', text: undefined }, 'w4')).toEqual({
        kind: 'applied',
      })
      expect(await tables.get(GUARDED, key, { serial: true })).toEqual({
        p,
        row: 0,
        head: 2,
        write_id: 'w4',
      })
      expect(await collect(tables.scan(GUARDED, { p }, { after: { row: 0 } }))).toEqual([
        { p, row: 1, text: 'block 1', write_id: 'w1' },
        { p, row: 2, text: 'block 2', write_id: 'w4' },
      ])
      const removed = await tables.writeIf(GUARDED, {
        partition: { p },
        expect: { key, is: { head: 2 } },
        put: [{ ...key, head: 3 }],
        remove: [
          { p, row: 1 },
          { p, row: 99 },
        ],
        writeId: 'w5',
      })
      expect(removed).toEqual({ kind: 'applied' })
      expect((await collect(tables.scan(GUARDED, { p }))).map((row) => row.row)).toEqual([0, 2])
    })

    test('of many conditional writes at once exactly one of each step applies', async () => {
      const p = fresh()
      const key = { p, row: 0 }
      const counter = async (who: number): Promise<number> => {
        let applied = 0
        for (let head = 0; applied < 10;) {
          const write = {
            partition: { p },
            expect: { key, is: head === 0 ? ('absent' as const) : { head } },
            put: [
              { ...key, head: head + 1 },
              { p, row: head + 1, text: `${who}` },
            ],
            writeId: `${who}.${head}`,
          }
          // Where many contend, a server may not know how a write ended.
          const outcome = await settle(tables, GUARDED, write, guests)
          if (outcome.kind === 'applied') applied++
          head = outcome.kind === 'refused' ? (outcome.current?.head ?? 0) : head + 1
        }
        return applied
      }
      await Promise.all(Array.from({ length: 8 }, (_, who) => counter(who)))
      const rows: Row[] = await collect(tables.scan(GUARDED, { p }))
      expect(rows.map((row) => row['row'])).toEqual(Array.from({ length: 81 }, (_, i) => i))
      const byWriter = Map.groupBy(rows.slice(1), (row) => row['text'])
      expect([...byWriter.values()].map((list) => list.length)).toEqual(
        Array.from({ length: 8 }, () => 10),
      )
    })

    test('a condition may stand on a row that the write leaves as it is, or takes away', async () => {
      const p = fresh()
      const guard = { p, row: 0 }
      const write = (
        is: 'absent' | Partial<RowOf<typeof GUARDED>>,
        put: readonly { p: string; row: number; head?: number; text?: string }[],
        remove: readonly { p: string; row: number }[],
        writeId: string,
      ) =>
        tables.writeIf(GUARDED, {
          partition: { p },
          expect: { key: guard, is },
          put,
          remove,
          writeId,
        })
      const rows = async (): Promise<unknown[]> =>
        (await collect(tables.scan(GUARDED, { p }))).map((row) => [row.row, row.write_id])
      // Absent, and stays so.
      expect(await write('absent', [{ p, row: 1 }], [], 'w1')).toEqual({ kind: 'applied' })
      expect(await rows()).toEqual([[1, 'w1']])
      expect(await write('absent', [{ ...guard, head: 1, text: 't' }], [], 'w2')).toEqual({
        kind: 'applied',
      })
      expect(await write('absent', [{ p, row: 1 }], [], 'w3')).toMatchObject({ kind: 'refused' })
      // There, and stays so, its write id too.
      expect(await write({ head: 1, text: 't' }, [{ p, row: 2 }], [], 'w4')).toEqual({
        kind: 'applied',
      })
      expect(await write({ head: 2 }, [{ p, row: 2 }], [], 'w5')).toEqual({
        kind: 'refused',
        current: { p, row: 0, head: 1, text: 't', write_id: 'w2' },
      })
      expect(await rows()).toEqual([
        [0, 'w2'],
        [1, 'w1'],
        [2, 'w4'],
      ])
      // A row that is put is not removed, whatever else is said of it.
      expect(
        await write({ head: 1 }, [{ ...guard, head: 2 }], [guard, { p, row: 1 }], 'w6'),
      ).toEqual({ kind: 'applied' })
      expect(await rows()).toEqual([
        [0, 'w6'],
        [2, 'w4'],
      ])
      // Columns that are not put are gone.
      expect(await tables.get(GUARDED, guard)).toEqual({ p, row: 0, head: 2, write_id: 'w6' })
      expect(await write({ head: 2 }, [{ p, row: 3 }], [guard], 'w7')).toEqual({ kind: 'applied' })
      expect(await rows()).toEqual([
        [2, 'w4'],
        [3, 'w7'],
      ])
    })

    test('a wave is not seen before all earlier ones', async () => {
      const p = fresh()
      const key = { p: `${p}/mark`, a: 0, b: '' }
      let over = false
      const sights: number[] = []
      const look = async (): Promise<void> => {
        while (!over) {
          // In memory an answer is no turn of the event loop.
          await new Promise((resolve) => setTimeout(resolve, 0))
          const mark = (await tables.get(FACTS, key))?.value
          if (mark === undefined) continue
          const of = Array.from({ length: 40 }, (_, i) =>
            tables.get(WIDE, { p, q: i, seq: 0, part: new Uint8Array() }),
          )
          const rows = await Promise.all(of)
          sights.push(Math.min(...rows.map((row) => row?.value ?? 0)) - Number(mark))
        }
      }
      const looking = look()
      for (let at = 1; at <= 10; at++) {
        const rows = Array.from({ length: 40 }, (_, q) =>
          putFact(WIDE, { p, q, seq: 0, part: new Uint8Array(), value: at }, at),
        )
        await tables.apply([
          ...rows,
          { ...putFact(FACTS, { ...key, value: `${at}` }, at), after: true },
        ])
        // Lets who looks have a turn, in memory too.
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      over = true
      await looking
      expect(sights.length).toBeGreaterThan(0)
      expect(Math.min(...sights)).toBeGreaterThanOrEqual(0)
    })

    test('a caller that mutates its bytes afterwards changes nothing', async () => {
      const p = fresh()
      const whole = new Uint8Array(1 << 16).fill(7)
      const row: Fact = { p, a: 0, b: '', body: whole.subarray(5, 8) }
      await tables.put(FACTS, [row], 1)
      whole.fill(9)
      expect((await tables.get(FACTS, row))?.body).toEqual(new Uint8Array([7, 7, 7]))
    })
  })
}
