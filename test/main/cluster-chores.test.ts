// What a process of a cluster does beside its roles, on a virtual clock.

import { expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { VarveError } from '../../src/base/errors.ts'
import { tellDependencies } from '../../src/main/dependency-news.ts'
import { sweepLeftovers } from '../../src/main/leftovers.ts'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'

/** Each sleep passes at once; after `endMs` the signal is aborted. */
function hurried(endMs: number) {
  const stop = new AbortController()
  let nowMs = 0
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms
      if (nowMs >= endMs) stop.abort()
    },
  }
  return { clock, signal: stop.signal }
}

function heard(...names: string[]) {
  const said: string[] = []
  const listeners = names.map((name) => {
    const listener = (message: unknown): void => {
      const { what, doing } = message as { what?: string; doing?: string }
      said.push(`${name} ${what ?? doing}`)
    }
    subscribe(name, listener)
    return () => unsubscribe(name, listener)
  })
  return { said, close: () => listeners.forEach((stop) => stop()) }
}

test('a dependency that goes is told once, and once when it is back', async () => {
  const { clock, signal } = hurried(60_000)
  const { said, close } = heard('varve:dependency:away', 'varve:dependency:back')
  const isUp = (): boolean => clock.monotonicMs() < 10_000 || clock.monotonicMs() >= 40_000
  const of = { seenMsAgo: 0, latencyMs: null, error: null }
  const health = {
    dependencies: () => [
      { ...of, name: 'Cassandra', up: isUp() },
      { ...of, name: 'Kafka', up: isUp() },
    ],
  }
  await tellDependencies(health, ['Cassandra'], clock, signal)
  close()
  expect(said).toEqual(['varve:dependency:away Cassandra', 'varve:dependency:back Cassandra'])
})

test('unfinished uploads of yesterday are taken away daily; a store that refuses stops nothing', async () => {
  const day = 86_400_000
  const { clock, signal } = hurried(3 * day)
  const { said, close } = heard('varve.pipelines.trouble')
  const ages: number[] = []
  await sweepLeftovers(
    {
      clock,
      own: (_name, until, work) => work(until),
      abort: async (olderThanMs) => {
        ages.push(olderThanMs)
        if (ages.length === 2) throw new VarveError('UNAVAILABLE', 'no')
        return 0
      },
    },
    signal,
  )
  close()
  expect(ages).toEqual([day, day, day])
  expect(said).toEqual(['varve.pipelines.trouble taking away unfinished uploads'])
})
