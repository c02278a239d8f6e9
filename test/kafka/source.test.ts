import { afterEach, expect, test } from 'vitest'
import { kafkaConnector } from '../../connectors/kafka/connector.ts'
import { aborted } from '../../src/base/async.ts'
import { systemClock } from '../../src/base/clock.ts'
import { readOptions } from '../../src/connector/mod.ts'
import { context } from '../connector/kit.ts'
import { TOPIC_ID, broker, closeAll, ends, fetchOf, fetched, metadata } from './fake.ts'

afterEach(closeAll)

test('a partition that is added is read, though one look for it had no answer', async () => {
  let looks = 0
  const only: string = await broker(() => ({
    Metadata: () => (looks === 1 ? undefined : metadata([only], looks === 0 ? [0] : [0, 0])),
    ListOffsets: () => ends([0, 1]),
    Fetch: async (request) => {
      await systemClock.sleep(5)
      return fetched(fetchOf(request).map(({ partition, offset }) => ({ partition, at: offset })))
    },
  }))
  const spec = kafkaConnector.source
  if (!spec) throw new Error('no source')
  const given = { 'bootstrap.servers': only, 'request.timeout.ms': 200, topics: 't' }
  const source = await spec.make(readOptions(spec.options, given, 'kafka'), {
    ...context,
    // Looks twice, once the reading has begun.
    sleep: async (_, signal) => {
      await systemClock.sleep(100)
      if (++looks > 2 && signal) await aborted(signal)
    },
  })
  const parts = new Set<string>()
  const stop = AbortSignal.timeout(4_000)
  for await (const item of source.open({ 't/0': `0@${TOPIC_ID}` }, stop)) {
    if (item.kind !== 'batch') throw new Error(JSON.stringify(item))
    parts.add(item.part)
    if (parts.size === 2) break
  }
  await source.close()
  expect([...parts]).toEqual(['t/0', 't/1'])
})
