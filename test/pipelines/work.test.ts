import { beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../src/base/clock.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import type { ChunkKey } from '../../src/model/datum.ts'
import { idSource } from '../../src/model/id.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { WorkRows } from '../../src/pipelines/work.ts'
import type { Lease } from '../../src/pipelines/work.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'

const result = (name: string): TreeRef => name as TreeRef
let rows: WorkRows
let chunk: ChunkKey
beforeEach(() => {
  rows = new WorkRows({ tables: new MemoryTables(), clock, random })
  chunk = { project: 'p', pipeline: 'l', job: idSource(clock, random)(), n: 0 }
})

test('one of many claims wins, and making a row again changes nothing', async () => {
  expect(await rows.claim(chunk, 'w', 0)).toBeUndefined()
  await Promise.all(Array.from({ length: 5 }, () => rows.make(chunk)))
  const answers = await Promise.all(
    Array.from({ length: 5 }, (_, i) => rows.claim(chunk, `w${i}`, 0)),
  )
  const [won, ...more] = answers.filter((answer) => answer && !('state' in answer)) as Lease[]
  expect(more).toEqual([])
  await rows.make(chunk)
  expect(await rows.get(chunk)).toMatchObject({ state: 'leased', ...won })
})

test('the first claim makes the row, and only one claim is the first', async () => {
  const answers = await Promise.all([
    ...Array.from({ length: 5 }, (_, i) => rows.claim(chunk, `w${i}`, undefined)),
    rows.make(chunk),
  ])
  const [won, ...more] = answers.filter((answer) => answer && !('state' in answer)) as Lease[]
  expect(more).toEqual([])
  expect(won?.token).toBe(1)
  expect(await rows.get(chunk)).toMatchObject({ state: 'leased', ...won })
  expect(await rows.reopen(chunk, won as Lease)).toBe(true)
  // A belief of long ago: nothing is begun anew.
  expect(await rows.claim(chunk, 'late', undefined)).toMatchObject({ state: 'ready', token: 1 })
  expect(await rows.claim(chunk, 'b', 1)).toEqual({ owner: 'b', token: 2 })
})

test('only the lease that stands can be done, and done is for ever', async () => {
  await rows.make(chunk)
  const old = (await rows.claim(chunk, 'a', 0)) as Lease
  expect(await rows.reopen(chunk, old)).toBe(true)
  const young = (await rows.claim(chunk, 'b', 1)) as Lease
  expect(young.token).toBe(2)
  expect(await rows.done(chunk, old, result('old'))).toBe(false)
  expect(await rows.done(chunk, { ...young, owner: 'a' }, result('old'))).toBe(false)
  expect(await rows.done(chunk, young, result('young'))).toBe(true)
  expect(await rows.done(chunk, young, result('young'))).toBe(true)
  expect(await rows.reopen(chunk, young)).toBe(false)
  expect(await rows.close(chunk)).toBe('young')
  expect(await rows.get(chunk)).toMatchObject({ state: 'done', result: 'young' })
})

test('a closed chunk takes no result, whatever it was', async () => {
  const made = { ...chunk, n: 1 }
  const leased = { ...chunk, n: 2 }
  await rows.make(made)
  await rows.make(leased)
  const lease = (await rows.claim(leased, 'a', 0)) as Lease
  for (const each of [chunk, made, leased]) {
    expect(await rows.close(each)).toBeUndefined()
    for (const token of [undefined, 0])
      expect(await rows.claim(each, 'b', token)).toMatchObject({ state: 'closed' })
  }
  expect(await rows.done(leased, lease, result('late'))).toBe(false)
})
