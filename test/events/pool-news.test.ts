import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { VarveError } from '../../src/base/errors.ts'
import type { BusMessage } from '../../src/bus/bus.ts'
import { decode } from '../../src/events/avro.ts'
import { poolNews, tellPoolNews } from '../../src/events/pool-news.ts'
import type { Told } from '../../src/events/pool-news.ts'
import { parseEventId } from '../../src/events/public-events.ts'
import type { PoolStatus } from '../../src/model/pool-status.ts'
import { HINDERED } from './hindered-pool.ts'

const GOES: PoolStatus = { ...HINDERED, state: 'running', running: 2, cause: null }
const because = (reason: string): PoolStatus => ({
  ...HINDERED,
  cause: { reason, cause: `${reason} is in the way`, remedy: 'wait' },
})

test('news is a reason that comes, changes or goes, and nothing else of a pool', () => {
  let told: Told = new Map()
  const look = (...all: readonly PoolStatus[]): unknown[] => {
    const found = poolNews(told, all)
    told = found.told
    return found.news.map(({ data }) => [data.state, data.why?.reason ?? null])
  }
  expect(look(GOES)).toEqual([])
  expect(look(because('Starting'))).toEqual([])
  expect(look({ ...HINDERED, wanted: 0 })).toEqual([])
  expect(look(HINDERED)).toEqual([['waiting', 'Unschedulable']])
  expect(look({ ...HINDERED, running: 1, wanted: 9 })).toEqual([])
  expect(look(because('ImageMissing'))).toEqual([['waiting', 'ImageMissing']])
  // The same name in another project is another pool.
  expect(look(because('ImageMissing'), { ...HINDERED, project: 'other' })).toHaveLength(1)
  expect(look(GOES, { ...HINDERED, project: 'other' })).toEqual([['running', null]])
  expect(look(GOES)).toEqual([['gone', null]])
  expect(look()).toEqual([])
})

test('each is told once on the topic, again when the bus did not take it, nothing while nobody reports', async () => {
  const stop = new AbortController()
  const sent: BusMessage[] = []
  let looks = 0
  let away = true
  let nowMs = 1_700_000_000_000
  const board = { pools: [HINDERED] as readonly PoolStatus[], reported: false }
  await tellPoolNews(
    {
      pools: {
        all: () => board.pools,
        get reported() {
          return board.reported
        },
      },
      bus: {
        publish: (_topic, messages) => {
          if (away) return Promise.reject(new VarveError('UNAVAILABLE', 'away'))
          sent.push(...messages)
          return Promise.resolve()
        },
      },
      clock: {
        ...systemClock,
        nowMs: () => nowMs,
        sleep: () => {
          nowMs += 5_000
          looks++
          if (looks === 1) board.reported = true
          if (looks === 2) away = false
          if (looks === 4) board.pools = [GOES]
          if (looks === 5) Object.assign(board, { reported: false, pools: [] })
          if (looks === 6) stop.abort()
          return Promise.resolve()
        },
      },
      own: (_name, signal, work) => work(signal),
      source: '/here',
      partitionOf: () => 3,
    },
    stop.signal,
  )
  expect(sent.map(({ key, headers }) => [key, headers['ce_id'], headers['ce_time']])).toEqual([
    [
      'default/v-default-1a2b',
      'default:pools/v-default-1a2b:1700000010000',
      '2023-11-14T22:13:30.000Z',
    ],
    [
      'default/v-default-1a2b',
      'default:pools/v-default-1a2b:1700000020000',
      '2023-11-14T22:13:40.000Z',
    ],
  ])
  const [first, second] = sent.map(({ value }) => decode(value))
  expect(first).toMatchObject({
    type: 'dev.varve.pool.state.v1',
    data: { pipelines: ['count'], wanted: 4, why: HINDERED.cause },
  })
  expect(second).toMatchObject({ data: { state: 'running', running: 2, why: null } })
  // Nobody takes it for a place in a log.
  expect(parseEventId('default', String(sent[0]?.headers['ce_id']))).toBe(undefined)
})
