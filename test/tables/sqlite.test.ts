import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { isVarveError } from '../../src/base/errors.ts'
import { SqliteTables } from '../../src/tables/adapters/sqlite.ts'
import { defineTable } from '../../src/tables/schema.ts'
import { CONTRACT_TABLES, FACTS, GUARDED, tablesContract } from '../contract/tables.ts'

const folder = await mkdtemp(join(tmpdir(), 'varve-sqlite-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
let next = 0
const file = (): string => join(folder, `${next++}.sqlite`)

tablesContract('sqlite', () => SqliteTables.open(file(), CONTRACT_TABLES))

test('rows and marks of removed rows survive closing; a new column is added', async () => {
  const name = file()
  const tables = await SqliteTables.open(name, CONTRACT_TABLES)
  await tables.put(FACTS, [{ p: 'p', a: 1, b: 'b', value: 'v' }], 3)
  await tables.remove(FACTS, { p: 'p', a: 2, b: 'b' }, 3)
  const closing = tables.put(FACTS, [{ p: 'p', a: 3, b: 'b' }], 3)
  await tables.close()
  await closing
  const wider = defineTable({ ...FACTS, columns: { ...FACTS.columns, added: 'int' } })
  const again = await SqliteTables.open(name, [wider])
  await again.put(wider, [{ p: 'p', a: 2, b: 'b' }], 2)
  await again.put(wider, [{ p: 'p', a: 4, b: 'b', added: 4 }], 3)
  const rows: unknown[] = []
  for await (const row of again.scan(wider, { p: 'p' })) rows.push([row.a, row.value, row.added])
  expect(rows).toEqual([
    [1, 'v', undefined],
    [3, undefined, undefined],
    [4, undefined, 4],
  ])
  await again.close()
})

test('a full disk: writes fail cleanly and definitely, reads go on, small writes still fit', async () => {
  const tables = await SqliteTables.open(file(), CONTRACT_TABLES, { maxPages: 64 })
  const put = (a: number, size: number): Promise<void> =>
    tables.put(FACTS, [{ p: 'p', a, b: '', body: new Uint8Array(size) }], 1)
  await put(0, 10)
  const key = { p: 'g', row: 0 }
  const guarded = (text: string, writeId: string) =>
    tables.writeIf(GUARDED, {
      partition: { p: 'g' },
      expect: { key, is: 'absent' },
      put: [{ ...key, text }],
      writeId,
    })
  // All in one turn, so in one transaction: who does not fit must not take the others with it.
  const [large, refused, small, applied] = await Promise.all([
    put(1, 1 << 20).catch((error: unknown) => error),
    guarded('x'.repeat(1 << 20), 'w1'),
    put(2, 10),
    guarded('y', 'w2'),
  ])
  expect(isVarveError(large, 'DISK_FULL')).toBe(true)
  expect(refused).toMatchObject({ kind: 'unknown', never: true, cause: { code: 'DISK_FULL' } })
  expect(small).toBeUndefined()
  expect(applied).toEqual({ kind: 'applied' })
  const rows: number[] = []
  for await (const row of tables.scan(FACTS, { p: 'p' })) rows.push(row.a)
  expect(rows).toEqual([0, 2])
  expect((await tables.get(GUARDED, key))?.write_id).toBe('w2')
  await tables.close()
})

test('text with any characters is a key like any other', async () => {
  const tables = await SqliteTables.open(file(), CONTRACT_TABLES)
  const texts = ['a\0b', 'a\0c', 'a', "it's", '"quoted"', '\u{1f600}', ' ']
  for (const [a, b] of texts.entries()) await tables.put(FACTS, [{ p: 'p', a, b, value: b }], 1)
  for (const [a, b] of texts.entries())
    expect(await tables.get(FACTS, { p: 'p', a, b })).toEqual({ p: 'p', a, b, value: b })
  await tables.close()
})
