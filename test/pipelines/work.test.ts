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
  expect(await rows.claim(chunk, 'w', { token: 1, closed: 0 })).toBeUndefined()
  await given(chunk)
  const answers = await Promise.all(
    Array.from({ length: 5 }, (_, i) => rows.claim(chunk, `w${i}`, { token: 1, closed: 0 })),
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
  expect(await rows.claim(chunk, 'b', { token: 1, closed: 0 })).toEqual({ owner: 'b', token: 2 })
})

test('only the lease that stands can be done, and done is for ever', async () => {
  const old = (await rows.claim(chunk, 'a', undefined)) as Lease
  expect(await rows.reopen(chunk, old)).toBe(true)
  const young = (await rows.claim(chunk, 'b', { token: 1, closed: 0 })) as Lease
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
    for (const ready of [undefined, { token: 0, closed: 0 }, { token: 1, closed: 0 }])
      expect(await rows.claim(each, 'b', ready)).toMatchObject({ state: 'closed' })
  }
  expect(await rows.done(leased, lease, result('late'))).toBe(false)
})

test('a raised chunk takes no result of a session before, whoever claims it', async () => {
  const lease = (await rows.claim(chunk, 'a', undefined)) as Lease
  await rows.raise(chunk, 7)
  await expect(rows.done(chunk, lease, result('early'), 6)).rejects.toMatchObject({
    code: 'SESSION_CLOSED',
  })
  expect(await rows.reopen(chunk, lease)).toBe(true)
  const ready = { token: 1, closed: 0 }
  expect(await rows.claim(chunk, 'b', ready)).toMatchObject({ state: 'ready', closed: 7 })
  const next = (await rows.claim(chunk, 'b', { token: 1, closed: 7 })) as Lease
  await expect(rows.done(chunk, next, result('early'), 6)).rejects.toMatchObject({
    code: 'SESSION_CLOSED',
  })
  expect(await rows.done(chunk, next, result('late'), 7)).toBe(true)
  await rows.raise(chunk, 9)
  expect(await rows.done(chunk, next, result('late'), 7)).toBe(true)
  // Of a chunk nobody asked for yet, and of one that is ready.
  const other = { ...chunk, n: 1 }
  await rows.raise(other, 7)
  expect(await rows.claim(other, 'a', undefined)).toMatchObject({ state: 'ready', closed: 7 })
  await rows.raise(other, 9)
  expect(await rows.claim(other, 'a', { token: 1, closed: 7 })).toMatchObject({ closed: 9 })
})
