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

/** Claimed and given back. */
async function given(key: ChunkKey): Promise<void> {
  await rows.reopen(key, (await rows.claim(key, 'before', undefined)) as Lease)
}

test('one of many claims of what was given back wins', async () => {
  expect(await rows.claim(chunk, 'w', 1)).toBeUndefined()
  await given(chunk)
  const answers = await Promise.all(
    Array.from({ length: 5 }, (_, i) => rows.claim(chunk, `w${i}`, 1)),
  )
  const [won, ...more] = answers.filter((answer) => answer && !('state' in answer)) as Lease[]
  expect(more).toEqual([])
  expect(await rows.get(chunk)).toMatchObject({ state: 'leased', ...won })
})

test('the first claim makes the row, and only one claim is the first', async () => {
  const answers = await Promise.all(
    Array.from({ length: 5 }, (_, i) => rows.claim(chunk, `w${i}`, undefined)),
  )
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
  const old = (await rows.claim(chunk, 'a', undefined)) as Lease
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
  await given(made)
  const lease = (await rows.claim(leased, 'a', undefined)) as Lease
  for (const each of [chunk, made, leased]) {
    expect(await rows.close(each)).toBeUndefined()
    for (const token of [undefined, 0, 1])
      expect(await rows.claim(each, 'b', token)).toMatchObject({ state: 'closed' })
  }
  expect(await rows.done(leased, lease, result('late'))).toBe(false)
})
