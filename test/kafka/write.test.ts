import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { WriteRecord } from '../../src/kafka/produce.ts'
import { decodeBatches } from '../../src/kafka/records.ts'
import { KafkaWriter, SEND_BYTES, cut } from '../../src/kafka/write.ts'
import { broker, closeAll, connect, metadata, produced, producedOf } from './fake.ts'
import type { Produced } from './fake.ts'

afterEach(closeAll)

const [NOT_LEADER, TOO_LARGE] = [6, 10]

const record = (value: string, partition = 0): WriteRecord => ({
  partition,
  key: null,
  value: Buffer.from(value),
})

interface Log {
  readonly writer: KafkaWriter
  /** Values of each request, by partition. */
  readonly sends: Record<number, string[]>[]
}

/** One broker that leads two partitions. @param answer for one partition of the request with this number */
async function log(
  answer: (values: readonly string[], send: number) => Omit<Produced, 'partition'>,
): Promise<Log> {
  const sends: Record<number, string[]>[] = []
  const only = await broker(() => ({
    Metadata: () => metadata([only], [0, 0]),
    Produce: (request) => {
      const values = [...producedOf(request)].map(([partition, batch]): [number, string[]] => [
        partition,
        decodeBatches(batch, 0).records.map(({ value }) => value?.toString() ?? ''),
      ])
      sends.push(Object.fromEntries(values))
      return produced(
        values.map(([partition, own]) => ({ partition, ...answer(own, sends.length) })),
      )
    },
  }))
  return { writer: new KafkaWriter(connect(only), 't'), sends }
}

test('what a broker surely did not write goes again, and nothing else of the send', async () => {
  const { writer, sends } = await log(([first], send) =>
    first === 'b' && send === 1 ? { code: NOT_LEADER } : { offset: 7 },
  )
  expect(await writer.send([record('a', 0), record('b', 1), record('c', 1)])).toEqual({
    0: { from: '7', to: '8' },
    1: { from: '7', to: '9' },
  })
  expect(sends).toEqual([{ 0: ['a'], 1: ['b', 'c'] }, { 1: ['b', 'c'] }])
})

test('a broker that wrote it and then lost its lead: it is said, and not sent again', async () => {
  const { writer, sends } = await log(() => ({ code: NOT_LEADER, offset: 7 }))
  await expect(writer.send([record('a')])).rejects.toMatchObject({ kind: 'indefinite' })
  expect(sends).toHaveLength(1)
})

test('a topic that takes less at once gets it in parts, in order; one record over is too large', async () => {
  let next = 0
  const { writer, sends } = await log((values) => {
    if (values.length > 2 || values.includes('large')) return { code: TOO_LARGE }
    next += values.length
    return { offset: next - values.length }
  })
  const texts = ['a', 'b', 'c', 'd', 'e']
  const all = await writer.send(texts.map((text) => record(text)))
  expect(all).toEqual({ 0: { from: '0', to: '5' } })
  const taken = sends.map((send) => send[0] ?? []).filter((values) => values.length <= 2)
  expect(taken.flat()).toEqual(texts)
  await expect(writer.send([record('f'), record('large')])).rejects.toMatchObject({
    kind: 'too-large',
    message: 'cannot write to topic "t": larger than the broker takes',
  })
})

test('abandoned between two tries, a send is not tried again', async () => {
  const { writer, sends } = await log(() => ({ code: NOT_LEADER }))
  const sent = expect(writer.send([record('a')])).rejects.toMatchObject({ kind: 'indefinite' })
  while (sends.length === 0) await systemClock.sleep(5)
  writer.abandon()
  await sent
  await writer.close()
  expect(sends).toHaveLength(1)
})

test('headers count towards the size of a send', () => {
  const headers = { id: 'x'.repeat(SEND_BYTES / 3) }
  const runs = [...cut(Array.from({ length: 4 }, () => ({ ...record('v'), headers })))]
  expect(runs.map((run) => run.length)).toEqual([2, 2])
})
