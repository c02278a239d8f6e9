import { beforeEach, expect, test } from 'vitest'
import { VarveError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import type { GuardedSpec } from '../../src/tables/schema.ts'
import { settle } from '../../src/tables/settle.ts'
import type { GuardedWrite, Outcome } from '../../src/tables/tables.ts'
import { GUARDED } from '../contract/tables.ts'

const lost = new VarveError('UNAVAILABLE', 'no answer')
const full = new VarveError('DISK_FULL', 'no space')

/** Each attempt goes by the next of the script; then all is well. */
class Scripted extends MemoryTables {
  script: ('lost-reply' | 'lost-request' | 'never' | (() => Promise<unknown>))[] = []
  attempts = 0

  /** Past the script: what somebody else writes, or an attempt whose reply never comes. */
  directly(write: GuardedWrite<typeof GUARDED>): Promise<unknown> {
    return super.writeIf(GUARDED, write)
  }

  override async writeIf<T extends GuardedSpec>(table: T, write: GuardedWrite<T>) {
    this.attempts++
    const step = this.script.shift()
    if (typeof step === 'function') {
      await step()
      return { kind: 'unknown', cause: lost } satisfies Outcome<never>
    }
    if (step === 'lost-request') return { kind: 'unknown', cause: lost } satisfies Outcome<never>
    if (step === 'never')
      return { kind: 'unknown', cause: full, never: true } satisfies Outcome<never>
    const outcome = await super.writeIf(table, write)
    if (step === 'lost-reply') return { kind: 'unknown', cause: lost } satisfies Outcome<never>
    return outcome
  }
}

const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() }
const guests = { clock, random: seededRandom(1) }
const p = 'p'
let tables: Scripted

/** An append in small: the guard's head moves from `head` and the row after it is put. */
const append = (head: number, writeId: string): GuardedWrite<typeof GUARDED> => ({
  partition: { p },
  expect: { key: { p, row: 0 }, is: head === 0 ? 'absent' : { head } },
  put: [
    { p, row: 0, head: head + 1 },
    { p, row: head + 1, text: writeId },
  ],
  writeId,
})
const put = (write: GuardedWrite<typeof GUARDED>) => settle(tables, GUARDED, write, guests)

beforeEach(() => {
  tables = new Scripted()
})

test('a definite answer is handed on at once', async () => {
  expect(await put(append(0, 'a'))).toEqual({ kind: 'applied' })
  expect(await put(append(0, 'b'))).toMatchObject({ kind: 'refused', current: { head: 1 } })
  expect(tables.attempts).toBe(2)
})

test('refused by its own earlier attempt: applied', async () => {
  tables.script = ['lost-request', 'lost-reply', 'lost-reply']
  expect(await put(append(0, 'a'))).toEqual({ kind: 'applied' })
  expect(tables.attempts).toBe(4)
})

test('applied, and others have moved the guard on since: the other row tells', async () => {
  tables.script = [
    async () => {
      await tables.directly(append(0, 'a'))
      await tables.directly(append(1, 'b'))
    },
  ]
  expect(await put(append(0, 'a'))).toEqual({ kind: 'applied' })
  expect(await tables.get(GUARDED, { p, row: 0 })).toMatchObject({ head: 2, write_id: 'b' })
})

test('never applied, and somebody else wrote meanwhile: refused', async () => {
  tables.script = [() => tables.directly(append(0, 'b'))]
  expect(await put(append(0, 'a'))).toMatchObject({ kind: 'refused', current: { write_id: 'b' } })
})

test('certainly not written is an error while nothing is in doubt, and no answer otherwise', async () => {
  tables.script = ['never']
  await expect(put(append(0, 'a'))).rejects.toBe(full)
  tables.script = ['lost-request', 'never', 'never']
  expect(await put(append(0, 'b'))).toEqual({ kind: 'applied' })
})
