import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { topicOffsets } from '../../src/kafka/admin.ts'
import { readPartitions } from '../../src/kafka/read.ts'
import type { ReadFrom } from '../../src/kafka/read.ts'
import { TOPIC_ID, broker, closeAll, connect, fetchOf, fetched, metadata } from './fake.ts'
import type { Answer } from './fake.ts'

afterEach(closeAll)

const DENIED = 29

const part = (partition: number): ReadFrom => ({
  topic: 't',
  topicId: TOPIC_ID,
  partition,
  offset: 0,
})

/** A record at every position asked for. */
const plenty: Answer = (request) =>
  fetched(fetchOf(request).map(({ partition, offset }) => ({ partition, at: offset })))

test('a partition that gets its leader late is read, though nothing disturbs the others', async () => {
  let looks = 0
  const only = await broker(() => ({
    Metadata: () => metadata([only], [0, ++looks > 1 ? 0 : -1]),
    Fetch: plenty,
  }))
  const seen = new Set<number>()
  for await (const { partition } of readPartitions(
    connect(only),
    [part(0), part(1)],
    AbortSignal.timeout(4_000),
  )) {
    seen.add(partition)
    if (seen.size === 2) break
  }
  expect([...seen]).toEqual([0, 1])
})

test('a topic that is gone is said, though the others are read', async () => {
  const only = await broker(() => ({
    Metadata: () => metadata([only], [0], 'gone'),
    Fetch: plenty,
  }))
  const gone = { ...part(0), topic: 'gone', topicId: 'cd'.repeat(16) }
  const reading = readPartitions(connect(only), [part(0), gone], AbortSignal.timeout(10_000), {
    bufferBytes: 10_000,
  })
  const taken = async (): Promise<void> => {
    for await (const _ of reading) await systemClock.sleep(1)
  }
  await expect(taken()).rejects.toMatchObject({
    kind: 'missing',
    message: 'cannot use topic "gone": there is no such topic',
  })
})

test('the ends of a partition that nobody leads: said by its name', async () => {
  const only = await broker(() => ({ Metadata: () => metadata([only], [0, -1]) }))
  await expect(topicOffsets(connect(only), 't')).rejects.toMatchObject({
    kind: 'lost',
    message: 'cannot ask for the offsets of t/1: the partition has no leader now',
  })
})

test('an error is met though other brokers have more than is taken', async () => {
  const well = await broker(() => ({ Fetch: plenty }))
  const denies = await broker(() => ({
    Metadata: () => metadata([denies, well], [0, 1]),
    Fetch: async () => {
      await systemClock.sleep(200)
      return fetched([{ partition: 0, code: DENIED }])
    },
  }))
  const { signal } = new AbortController()
  const reading = readPartitions(connect(denies), [part(0), part(1)], signal, {
    bufferBytes: 10_000,
  })
  const taken = async (): Promise<void> => {
    for await (const _ of reading) await systemClock.sleep(5)
  }
  await expect(Promise.race([taken(), systemClock.sleep(3_000)])).rejects.toMatchObject({
    kind: 'denied',
  })
})

test('a refusal is no answer: whoever was in trouble still is', async () => {
  let answers = 0
  const denies = await broker(() => ({
    Metadata: () => metadata([denies], [0]),
    Fetch: () => fetched([{ partition: 0, code: DENIED }]),
  }))
  const reading = readPartitions(connect(denies), [part(0)], new AbortController().signal, {
    onAnswer: () => answers++,
  })
  await expect(reading.next()).rejects.toMatchObject({ kind: 'denied' })
  expect(answers).toBe(0)
})
