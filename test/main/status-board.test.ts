import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import { StatusBoard, tellStatuses } from '../../src/main/status-board.ts'
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
