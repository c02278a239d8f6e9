// A row is read in the view that is the current one, beside the question which that is.

import { expect, test } from 'vitest'
import { deferred } from '../../src/base/async.ts'
import { systemClock as clock } from '../../src/base/clock.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import { Reader } from '../../src/versions/reader.ts'
import { REPOS } from '../../src/versions/tables.ts'

const [project, name] = ['p', 'r']

async function world() {
  const tables = new MemoryTables()
  for (const view of [1, 2]) {
    const value = JSON.stringify({ name: `as in view ${view}` })
    await tables.put(REPOS, [{ project, view, name, created_seq: 1, value }], 1)
  }
  const asked: number[] = []
  const get = tables.get.bind(tables)
  tables.get = (table, key, options) => {
    asked.push((key as { view: number }).view)
    return get(table, key, options)
  }
  let mark = Promise.resolve({ seq: 1, view: 1 })
  const reader = new Reader({ tables, clock, watermark: () => mark })
  return { tables, asked, reader, stands: (now: typeof mark): void => void (mark = now) }
}

test('the row is asked for beside the watermark, and counts when its view is still the current one', async () => {
  const { asked, reader, stands } = await world()
  expect(await reader.repo(project, name)).toEqual({ name: 'as in view 1' })
  const mark = deferred<{ seq: number; view: number }>()
  stands(mark.promise)
  const reading = reader.repo(project, name)
  await expect.poll(() => asked).toEqual([1, 1])
  mark.resolve({ seq: 2, view: 1 })
  expect(await reading).toEqual({ name: 'as in view 1' })
  expect(asked).toEqual([1, 1])
})

test('after another view became the current one, what was read of the old one is not believed', async () => {
  const { asked, tables, reader, stands } = await world()
  await reader.repo(project, name)
  stands(Promise.resolve({ seq: 2, view: 2 }))
  const get = tables.get.bind(tables)
  const away = new Error('the old view is gone')
  tables.get = (table, key, options) =>
    (key as { view: number }).view === 1 ? Promise.reject(away) : get(table, key, options)
  expect(await reader.repo(project, name)).toEqual({ name: 'as in view 2' })
  expect(await reader.repo(project, name)).toEqual({ name: 'as in view 2' })
  expect(asked).toEqual([1, 2, 2])
  stands(Promise.resolve({ seq: 3, view: 1 }))
  await expect(reader.repo(project, name)).rejects.toThrow(away)
})
