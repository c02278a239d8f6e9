import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import { StatusBoard, tellPools, tellStatuses } from '../../src/main/status-board.ts'
import type { PoolStatus } from '../../src/model/pool-status.ts'
import type { SpoutStatus } from '../../src/spouts/status.ts'

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('the latest a host told is known, until nobody tells it any more', async () => {
  const bus = new MemoryBus({ clock: systemClock })
  let nowMs = 0
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs }
  const board = new StatusBoard({ bus, clock })
  const status = (name: string, perSecond: number): SpoutStatus => ({
    name,
    state: 'running',
    cause: null,
    parts: {},
    lagRecords: null,
    openRecords: 0,
    openBytes: 0,
    nextFlush: null,
    recordsPerSecond: perSecond,
    lastCommitId: null,
  })
  const tell = async (perSecond: number): Promise<void> => {
    const stop = new AbortController()
    // More than one message holds.
    const statuses = Array.from({ length: 450 }, (_, i) => status(`s${i}`, perSecond))
    const all = statuses.map((one) => ({ project: 'default', status: one }))
    const telling = tellStatuses({ bus, clock, who: 'h' }, 'spout', () => all, stop.signal)
    stop.abort()
    await telling
    await soon()
  }
  await tell(1)
  await tell(2)
  for (const name of ['s0', 's449'])
    expect(board.spouts.status('default', name)).toMatchObject({ name, recordsPerSecond: 2 })
  // Of another project, and of another kind, nobody told anything.
  expect(board.spouts.status('other', 's0')?.state).toBe('unknown: no host reports')
  expect(board.egresses.status('default', 's0')?.state).toBe('unknown: no host reports')

  nowMs = 9_000
  expect(board.spouts.status('default', 's0')?.state).toBe('running')
  nowMs = 11_000
  expect(board.spouts.status('default', 's0')?.state).toBe('unknown: no host reports')
  const garbage = { partition: 0, key: '', headers: {}, value: utf8('{') }
  await bus.publish(TOPICS.status, [garbage])
  await tell(3)
  expect(board.spouts.status('default', 's0')).toMatchObject({ recordsPerSecond: 3 })
  await board.close()
})

test('pools are known while their keeper speaks of them, gone when it no longer does, unknown when it is silent', async () => {
  const bus = new MemoryBus({ clock: systemClock })
  let nowMs = 0
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs }
  const board = new StatusBoard({ bus, clock })
  const pod = (n: number): PoolStatus['pods'][number] => ({
    name: `pod-${n}`,
    node: null,
    state: 'running',
    busy: false,
    cause: null,
  })
  const status = (pool: string): PoolStatus => ({
    pool,
    project: 'default',
    pipelines: [pool],
    image: 'registry/image',
    state: 'running',
    running: 2_000,
    replicas: 2_000,
    wanted: 2_000,
    cause: null,
    address: null,
    change: null,
    // More than fit one message together, and of each more than is told.
    pods: Array.from({ length: 2_000 }, (_, n) => pod(n)),
    ends: [],
  })
  const sizes: number[] = []
  const watched: Pick<MemoryBus, 'publish'> = {
    publish: (topic, messages) => {
      sizes.push(...messages.map(({ value }) => value.length))
      return bus.publish(topic, messages)
    },
  }
  const tell = async (pools?: readonly string[]): Promise<void> => {
    const stop = new AbortController()
    const guests = { bus: { ...watched, subscribe: bus.subscribe.bind(bus) }, clock, who: 'k' }
    const telling = tellPools(guests, () => pools?.map(status), stop.signal)
    stop.abort()
    await telling
    await soon()
  }
  const states = (): Record<string, string> =>
    Object.fromEntries(board.pools.all().map(({ pool, state }) => [pool, state]))

  // Whoever does not keep them tells nothing.
  await tell(undefined)
  expect(board.pools.reported).toBe(false)
  await tell([])
  expect(board.pools).toMatchObject({ reported: true })
  expect(states()).toEqual({})
  const names = Array.from({ length: 9 }, (_, n) => `p${n}`)
  await tell(names)
  expect(Object.keys(states())).toEqual(names)
  expect(Math.max(...sizes)).toBeLessThan(500_000)

  // One is not told of any more; the others are.
  for (nowMs = 1_000; nowMs <= 4_000; nowMs += 1_000) await tell(names.slice(1))
  expect(Object.keys(states())).toEqual(names.slice(1))

  nowMs = 20_000
  expect(board.pools.reported).toBe(false)
  expect(states()).toMatchObject({ p1: 'unknown', p8: 'unknown' })
  expect(board.pools.all()[0]?.cause?.reason).toBe('NotReported')
  // Another keeper begins with one of them: nothing follows from that for the others yet.
  await tell(['p1'])
  expect(states()).toMatchObject({ p1: 'running', p8: 'running' })
  nowMs = 24_000
  await tell(['p1'])
  expect(states()).toEqual({ p1: 'running' })
  await board.close()
})
