// What waits for one branch is merged together: each onto the one before, all in one pack.

import { expect, test } from 'vitest'
import { deferred } from '../../src/base/async.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { VarveError } from '../../src/base/errors.ts'
import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { BlobObject } from '../../src/blob/blob.ts'
import type { Proposal } from '../../src/log/machine.ts'
import type { Op } from '../../src/model/ops.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { refLocation } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import { prepare } from '../../src/versions/prepare.ts'
import type { PrepareGuests } from '../../src/versions/prepare.ts'
import type { Prepared } from '../../src/versions/prepared.ts'
import { CLOSED, emptyState } from '../../src/versions/state.ts'
import type { State } from '../../src/versions/state.ts'
import { collect, makeEngine, p } from '../objects/fixture.ts'
import { at, idOf } from './drive.ts'

type Put = Extract<Op, { op: 'commit.put' }>

/** Puts wait for `gate`, and fail with it. */
class GatedBlobStore extends MemoryBlobStore {
  gate: Promise<void> = Promise.resolve()
  puts = 0

  override async put(objects: readonly BlobObject[]): Promise<void> {
    this.puts++
    await this.gate
    await super.put(objects)
  }
}

class World {
  readonly blob = new GatedBlobStore()
  readonly engine: ObjectEngine = makeEngine({ blob: this.blob }).engine
  readonly state: State = emptyState('p')
  #ids = 0

  /** A commit of a file by somebody who saw `base`. */
  async put(path: string, more: Partial<Put> = {}, base: TreeRef | null = null): Promise<Put> {
    const writer = this.engine.writer(base)
    await writer.put(p(path), utf8(`${path} `.repeat(300)))
    const { run, root, stats } = await writer.finishOnto(base)
    const change = { base, runs: [run], root, stats }
    return { op: 'commit.put', branch: at('a'), change, note: null, ...more }
  }

  async prepare(ops: readonly Op[]): Promise<Promise<Prepared | undefined>[]> {
    const guests: PrepareGuests = {
      objects: this.engine,
      condemnedFor: new Map(),
      reader: undefined as never,
      emptyRoot: await this.engine.emptyTree(),
    }
    const proposals = ops.map((op): Proposal<Op> => {
      const id = idOf(++this.#ids)
      const by = { project: 'p', principal: 'test', cause: null, fingerprint: '' }
      return { ...by, id, ops: [op], issuedAtMs: 0, machine: false }
    })
    const preparing = prepare(guests, this.state, proposals).map((one) => one)
    for (const one of preparing) one.catch(() => {})
    return preparing
  }

  async paths(root: TreeRef | null | undefined): Promise<string[]> {
    return (await collect(this.engine.walk(root ?? null))).map(({ path }) => path)
  }
}

const merged = (prepared: Prepared | undefined) => prepared?.[0]?.merged

test('each stands on the one before and has a root of its own; one put stores them all', async () => {
  const world = new World()
  const ops = await Promise.all(['f', 'd/g', 'd/h', 'i'].map((path) => world.put(path)))
  const gate = deferred<void>()
  world.blob.gate = gate.promise
  world.blob.puts = 0
  const preparing = await world.prepare(ops)
  // The first built on what the branch reads: it waits for nobody.
  const first = merged(await preparing[0])
  expect(first?.root).toBe(ops[0]?.change.root)
  const others = Promise.all(preparing.slice(1))
  let isTold = false
  void others.then(() => (isTold = true))
  while (world.blob.puts === 0) await new Promise(setImmediate)
  await new Promise(setImmediate)
  expect(isTold).toBe(false)
  gate.resolve()
  const all = [first, ...(await others).map(merged)]
  expect(world.blob.puts).toBe(1)
  expect(all.map((one) => one?.onto)).toEqual([null, ...all.slice(0, -1).map((one) => one?.root)])
  expect(new Set(all.slice(1).map((one) => one && refLocation(one.root).pack)).size).toBe(1)
  const cold = makeEngine({ blob: world.blob }).engine
  const paths = await Promise.all(
    all.map(async (one) => (await collect(cold.walk(one?.root ?? null))).map(({ path }) => path)),
  )
  expect(paths).toEqual([['f'], ['d/g', 'f'], ['d/g', 'd/h', 'f'], ['d/g', 'd/h', 'f', 'i']])
})

test('a conflict with what is expected is none yet; with what the branch reads it is', async () => {
  const world = new World()
  const [file, below, other] = [await world.put('d'), await world.put('d/f'), await world.put('g')]
  const guessed = await Promise.all(await world.prepare([file, below, other]))
  expect(guessed.map((one) => one !== undefined)).toEqual([true, false, false])
  const { root, stats } = file.change
  const head = { id: idOf(1), root, stats, state: 'finished', sources: {} } as const
  const branch = { ...at('a'), provenance: [], pipeline: null, tip: head, head, epoch: 0 }
  world.state.branches.set('a@master', branch)
  const [conflict, next] = await Promise.allSettled(await world.prepare([below, other]))
  expect(conflict).toMatchObject({ reason: { code: 'PATH_CONFLICT' } })
  expect(next).toMatchObject({ value: [{ merged: { onto: root } }] })
})

test('a parent that is not the head and a closed session harm no other', async () => {
  const world = new World()
  world.state.closed.set(CLOSED, { before: 5, by: idOf(99) })
  const session = 7
  const ops = [
    await world.put('d/f', { session }),
    await world.put('g', { session, ifParent: idOf(1) }),
    await world.put('h', { session, ifParent: idOf(1) }),
    await world.put('i'),
    await world.put('j', { session }),
  ]
  const [first, fits, late, closed, last] = await Promise.all(await world.prepare(ops))
  expect([late, closed]).toEqual([[{}], [{}]])
  expect(merged(fits)?.onto).toBe(merged(first)?.root)
  expect(merged(last)?.onto).toBe(merged(fits)?.root)
  expect(merged(last)?.under).toBe(idOf(99))
  expect(await world.paths(merged(last)?.root)).toEqual(['d/f', 'g', 'j'])
})

test('where the pack is not stored none is told, but who needs nothing of it', async () => {
  const world = new World()
  const ops = await Promise.all(['f', 'g', 'h'].map((path) => world.put(path)))
  world.blob.gate = Promise.reject(new VarveError('UNAVAILABLE', 'cannot put'))
  world.blob.gate.catch(() => {})
  const [first, ...others] = await Promise.allSettled(await world.prepare(ops))
  expect(first?.status).toBe('fulfilled')
  for (const one of others) expect(one).toMatchObject({ reason: { code: 'UNAVAILABLE' } })
})

test('nothing is prepared after what cannot be foreseen, or after much', async () => {
  const world = new World()
  const move: Op = { op: 'branch.put', branch: at('a'), provenance: [] }
  const moved = await Promise.all(
    await world.prepare([await world.put('f'), move, await world.put('g')]),
  )
  expect(moved.map((one) => one !== undefined)).toEqual([true, false, false])
  const first = await Promise.all(await world.prepare([move, await world.put('g')]))
  expect(first).toEqual([[{}], undefined])

  const writer = world.engine.writer(null)
  for (let n = 0; n < 5_000; n++) await writer.put(p(`many/${n}`), utf8('x'))
  const { run, root, stats } = await writer.finishOnto(null)
  const many = { ...(await world.put('f')), change: { base: null, runs: [run], root, stats } }
  const some = await Promise.all(await world.prepare([await world.put('f'), many, many]))
  expect(some.map((one) => one !== undefined)).toEqual([true, false, false])
  const alone = await Promise.all(await world.prepare([many]))
  expect(merged(alone[0])?.root).toBe(root)
})
