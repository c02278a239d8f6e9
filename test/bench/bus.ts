// The bus on a real broker against kafkajs used bare: same records, same compression, same acks.

import { systemClock } from '../../src/base/clock.ts'
import { KafkaBus } from '../../src/bus/adapters/kafka/bus.ts'
import type { BusMessage } from '../../src/bus/bus.ts'
import { kafkajsAt } from '../services/kafkajs.ts'
import { shared, stopShared } from '../services/shared.ts'
import { median, metric } from './bench.ts'
import type { Bench, Metric } from './bench.ts'

const BATCH = 1_000
const PARTITIONS = 8
const ZSTD = 4
const ROUNDS = 5

interface Way {
  publish(messages: readonly BusMessage[]): Promise<void>
  /** Called for each message that comes back. */
  heard: (() => void) | undefined
}

interface Figures {
  readonly publishMs: number
  readonly hearMs: number
  readonly publishedPerSecond: number
  readonly heardPerSecond: number
  readonly cpuMicros: number
}

function record(i: number): BusMessage {
  const value = JSON.stringify({ id: i, at: 1_700_000_000_000 + i, user: `u${i % 97}` }).padEnd(256)
  return {
    partition: i % PARTITIONS,
    key: `k${i % 97}`,
    headers: { kind: 'x' },
    value: Buffer.from(value),
  }
}

async function round(way: Way, singles: number, batches: number): Promise<Figures> {
  const publishMs: number[] = []
  const hearMs: number[] = []
  for (let i = 0; i < singles; i++) {
    const { promise, resolve } = Promise.withResolvers<void>()
    way.heard = resolve
    const begun = performance.now()
    await way.publish([record(i)])
    publishMs.push(performance.now() - begun)
    await promise
    hearMs.push(performance.now() - begun)
  }
  const records = Array.from({ length: BATCH }, (_, i) => record(i))
  const { promise, resolve } = Promise.withResolvers<void>()
  let heard = 0
  way.heard = () => {
    if (++heard === batches * BATCH) resolve()
  }
  const cpu = process.cpuUsage()
  const begun = performance.now()
  for (let i = 0; i < batches; i++) await way.publish(records)
  const publishedMs = performance.now() - begun
  await promise
  const heardMs = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  const count = batches * BATCH
  return {
    publishMs: median(publishMs),
    hearMs: median(hearMs),
    publishedPerSecond: (count / publishedMs) * 1_000,
    heardPerSecond: (count / heardMs) * 1_000,
    cpuMicros: (user + system) / count,
  }
}

async function bare(address: string, topic: string): Promise<Way & { close(): Promise<void> }> {
  const client = kafkajsAt(address)
  const producer = client.producer({
    maxInFlightRequests: 1,
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
  })
  const consumer = client.consumer({ groupId: `${topic}.bare`, maxWaitTimeInMs: 250 })
  await Promise.all([producer.connect(), consumer.connect()])
  await consumer.subscribe({ topic, fromBeginning: true })
  const way: Way & { close(): Promise<void> } = {
    heard: undefined,
    publish: async (messages) => {
      await producer.send({
        topic,
        acks: -1,
        compression: ZSTD,
        messages: messages.map(({ partition, key, headers, value }) => ({
          partition,
          key,
          headers: { ...headers },
          value: Buffer.from(value),
        })),
      })
    },
    close: async () => {
      await Promise.all([producer.disconnect(), consumer.disconnect()])
    },
  }
  await consumer.run({
    eachBatch: async ({ batch }) => {
      for (const _ of batch.messages) way.heard?.()
    },
  })
  return way
}

/** Until what is published comes back. */
async function standing(way: Way): Promise<void> {
  let stands = false
  way.heard = () => (stands = true)
  while (!stands) {
    await way.publish([record(0)])
    await systemClock.sleep(20)
  }
  await systemClock.sleep(500)
}

export const bench: Bench = {
  name: 'bus',
  what: `messages of 256 bytes to ${PARTITIONS} partitions and back, alone and in batches of ${BATCH}`,
  async run({ small }): Promise<readonly Metric[]> {
    const address = await shared('kafka')
    const topicPrefix = `bench${Date.now()}`
    const spec = {
      partitions: PARTITIONS,
      partitionsFixed: true,
      retentionMs: 3_600_000,
      maxMessageBytes: 1_048_576,
      timestamps: 'log',
    } as const
    const bus = await KafkaBus.open({
      connection: { brokers: [address] },
      topicPrefix,
      replication: 1,
      clock: systemClock,
      topics: { 'varve.a': spec, 'varve.b': spec },
    })
    const ours: Way = { heard: undefined, publish: (messages) => bus.publish('varve.a', messages) }
    bus.subscribe('varve.a', { tail: true }, (messages) => {
      for (const _ of messages) ours.heard?.()
      return Promise.resolve()
    })
    const peer = await bare(address, `${topicPrefix}.b`)
    await Promise.all([standing(ours), standing(peer)])
    const [singles, batches] = small ? [100, 20] : [500, 100]
    // Warm, then turn about, so that both meet the same machine.
    await round(ours, 20, 5)
    await round(peer, 20, 5)
    const figures: { ours: Figures; peer: Figures }[] = []
    for (let i = 0; i < ROUNDS; i++)
      figures.push({
        ours: await round(ours, singles, batches),
        peer: await round(peer, singles, batches),
      })
    await peer.close()
    await bus.close()
    await stopShared()
    const of = (name: keyof Figures, label: string, unit: string): Metric =>
      metric(label, median(figures.map((each) => each.ours[name])), unit, {
        peer: { name: 'kafkajs', value: median(figures.map((each) => each.peer[name])) },
      })
    return [
      of('publishMs', 'publish one, p50', 'ms'),
      of('hearMs', 'publish one and hear it, p50', 'ms'),
      of('publishedPerSecond', 'published', 'records/s'),
      of('heardPerSecond', 'published and heard', 'records/s'),
      of('cpuMicros', 'processor time of both ends', 'µs/record'),
    ]
  },
}
