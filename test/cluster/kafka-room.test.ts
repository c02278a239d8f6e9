// The kafka room and its connector against a real broker, and against Java's client as a second opinion.

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaConnector } from '../../connectors/kafka/connector.ts'
import { readOptions } from '../../src/connector/mod.ts'
import type { Sink, Source } from '../../src/connector/mod.ts'
import { describeTopics, topicOffsets } from '../../src/kafka/admin.ts'
import { KafkaConnection } from '../../src/kafka/connect.ts'
import { readPartitions } from '../../src/kafka/read.ts'
import type { ReadBatch } from '../../src/kafka/read.ts'
import { KafkaWriter } from '../../src/kafka/write.ts'
import { context, readSome, sinkSuite, sourceSuite } from '../connector/kit.ts'
import { KafkaServer, java, kafkaAvailable } from '../services/kafka.ts'
import { kafkajsAt, withAdmin } from '../services/kafkajs.ts'

let broker: KafkaServer
let connection: KafkaConnection
let topics = 0

async function newTopic(partitions: number): Promise<string> {
  const name = `t${++topics}`
  await withAdmin(broker.address, (admin) =>
    admin.createTopics({ topics: [{ topic: name, numPartitions: partitions }] }),
  )
  return name
}

async function write(topic: string, values: readonly string[], partition = 0): Promise<void> {
  const writer = new KafkaWriter(connection, topic)
  await writer.send(values.map((value) => ({ partition, key: null, value: Buffer.from(value) })))
  await writer.close()
}

async function source(topic: string, start = 'earliest'): Promise<Source> {
  const spec = kafkaConnector.source
  if (!spec) throw new Error('no source')
  const given = { 'bootstrap.servers': broker.address, topics: topic, start }
  return spec.make(readOptions(spec.options, given, 'kafka'), context)
}

async function sink(topic: string): Promise<Sink> {
  const spec = kafkaConnector.sink
  if (!spec) throw new Error('no sink')
  const given = { 'bootstrap.servers': broker.address, topic, key: '/id' }
  return spec.make(readOptions(spec.options, given, 'kafka'), context)
}

/** The next `count` records of all partitions; with `end`, all until that one is passed. */
async function readAll(topic: string, count: number, offset = 0, end = -1): Promise<ReadBatch[]> {
  const [described] = await describeTopics(connection, [topic])
  if (!described) throw new Error('no topic')
  const stop = new AbortController()
  const from = described.partitions.map(({ partition }) => ({
    topic,
    topicId: described.id,
    partition,
    offset,
  }))
  const batches: ReadBatch[] = []
  let records = 0
  for await (const batch of readPartitions(connection, from, stop.signal)) {
    batches.push(batch)
    records += batch.records.length
    if (records >= count && batch.to > end) stop.abort()
  }
  return batches
}

describe.skipIf(!kafkaAvailable)('kafka', () => {
  beforeAll(async () => {
    broker = await KafkaServer.start()
    connection = new KafkaConnection({ brokers: [broker.address] })
  })

  afterAll(async () => {
    connection.close()
    await broker.stop()
  })

  sourceSuite('kafka', async () => {
    const topic = await newTopic(1)
    return {
      source: () => source(topic),
      append: (values) => write(topic, values),
      close: async () => {},
    }
  })

  sinkSuite('kafka', async () => {
    const topic = await newTopic(1)
    return {
      sink: () => sink(topic),
      read: async () => {
        const [{ end } = { end: 0 }] = await topicOffsets(connection, topic)
        const seen = new Set<string>()
        return (await readAll(topic, end)).flatMap(({ records }) =>
          records.flatMap(({ headers, value }) => {
            const id = headers.find(([name]) => name === 'varve-record-id')?.[1]?.toString() ?? ''
            if (seen.has(id)) return []
            seen.add(id)
            return [value?.toString() ?? '']
          }),
        )
      },
      close: async () => {},
    }
  })

  test('what Java wrote in compressed batches is read whole and in order', async () => {
    const topic = `java${Date.now()}`
    await java('Verifier', 'produce', broker.address, topic, '20000', '3', '11')
    const batches = await readAll(topic, 20_000)
    const seqs = new Map<string, number>()
    let records = 0
    for (const batch of batches) {
      for (const { value, offset } of batch.records) {
        expect(offset).toBeGreaterThanOrEqual(batch.from)
        const { key, seq } = JSON.parse(value?.toString() ?? '') as { key: string; seq: number }
        expect(seq).toBe(seqs.get(key) ?? 0)
        seqs.set(key, seq + 1)
        records++
      }
    }
    expect(records).toBe(20_000)
  })

  test('what we write under keys Java finds whole, in order, each key in one partition', async () => {
    const topic = await newTopic(4)
    const given = { 'bootstrap.servers': broker.address, topic, key: '/key' }
    const spec = kafkaConnector.sink
    if (!spec) throw new Error('no sink')
    const to = await spec.make(readOptions(spec.options, given, 'kafka'), context)
    await to.open(null)
    const records = Array.from({ length: 5_000 }, (_, i) => ({
      id: `c:a#${i}`,
      value: Buffer.from(`{"key":"k${i % 7}","seq":${Math.floor(i / 7)},"pad":""}`),
    }))
    expect(await to.write({ commit: 'c', records })).toBeNull()
    // A batch sent again: the reader drops it by its ids.
    expect(await to.write({ commit: 'c', records: records.slice(-100) })).toBeNull()
    await to.commit()
    await to.close()
    const found: unknown = JSON.parse(
      await java('Verifier', 'verify', broker.address, topic, '5000', '7'),
    )
    expect(found).toMatchObject({
      raw: 5_100,
      rawDuplicates: 100,
      lost: 0,
      doubled: 0,
      outOfOrder: 0,
      partitionMoves: 0,
      keys: 7,
    })
  })

  test('records of aborted transactions are not given, however they interleave', async () => {
    const topic = await newTopic(1)
    const producers = await Promise.all(
      ['a', 'b'].map(async (name) => {
        const producer = kafkajsAt(broker.address).producer({
          transactionalId: `${topic}-${name}`,
          maxInFlightRequests: 1,
          idempotent: true,
          createPartitioner: () => () => 0,
        })
        await producer.connect()
        return producer
      }),
    )
    const [a, b] = producers
    if (!a || !b) throw new Error('two producers')
    for (let round = 0; round < 4; round++) {
      const [x, y] = [await a.transaction(), await b.transaction()]
      const send = (txn: typeof x, value: string): Promise<unknown> =>
        txn.send({ topic, messages: [{ value, partition: 0 }] })
      await send(x, 'aborted')
      await send(y, round % 2 === 0 ? 'aborted' : 'kept')
      await send(x, 'aborted')
      await (round % 2 === 0 ? y.abort() : y.commit())
      await x.abort()
    }
    await Promise.all(producers.map((producer) => producer.disconnect()))
    await write(topic, ['end'])
    const all = (await readAll(topic, 3)).flatMap(({ records }) => records)
    expect(all.map(({ value }) => value?.toString())).toEqual(['kept', 'kept', 'end'])
    // Also from the middle of a transaction, and from its marker.
    const end = all.at(-1)?.offset ?? 0
    for (let from = 0; from <= end; from++) {
      const rest = (await readAll(topic, 1, from, end)).flatMap(({ records }) => records)
      expect(rest).toEqual(all.filter(({ offset }) => offset >= from))
    }
  })

  test('a topic that takes small batches only gets what we write in parts, in order', async () => {
    const topic = `small${++topics}`
    await withAdmin(broker.address, (admin) =>
      admin.createTopics({
        topics: [{ topic, configEntries: [{ name: 'max.message.bytes', value: '20000' }] }],
      }),
    )
    const values = Array.from({ length: 200 }, () => randomBytes(500).toString('base64'))
    await write(topic, values)
    const records = (await readAll(topic, 200)).flatMap((batch) => batch.records)
    expect(records.map(({ value }) => value?.toString())).toEqual(values)
    await expect(write(topic, ['a', randomBytes(30_000).toString('base64')])).rejects.toMatchObject(
      {
        kind: 'too-large',
      },
    )
  })

  test('records the broker dropped before they were read: a gap with both ends', async () => {
    const topic = await newTopic(1)
    await write(topic, ['a', 'b', 'c', 'd'])
    const first = await source(topic)
    const { batches } = await readSome(first, {}, 1)
    await first.close()
    const identity = batches[0]?.from.split('@')[1] ?? ''
    await withAdmin(broker.address, async (admin) => {
      // The library deletes only in topics it has asked about before.
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
    })
    const second = await source(topic)
    const { trouble } = await readSome(second, { [`${topic}/0`]: `1@${identity}` }, 1)
    expect(trouble).toMatchObject({
      kind: 'gap',
      part: `${topic}/0`,
      from: `1@${identity}`,
      to: `3@${identity}`,
    })
    const accepted = await readSome(second, { [`${topic}/0`]: `3@${identity}` }, 1)
    expect(accepted.values).toEqual(['d'])
    await second.close()
  })

  test('a topic deleted and made again is another source, noticed before a record of it is given', async () => {
    const topic = await newTopic(1)
    await write(topic, ['old 1', 'old 2'])
    const open = await source(topic)
    const stop = new AbortController()
    const seen: string[] = []
    const positions: Record<string, string> = {}
    for await (const item of open.open({}, stop.signal)) {
      if (item.kind !== 'batch') {
        // The reading itself ends as lost; opened again it knows why.
        expect(item).toMatchObject({ kind: 'lost' })
        break
      }
      for (const { value } of item.records) seen.push(Buffer.from(value ?? '').toString())
      positions[item.part] = item.to
      if (seen.length < 2) continue
      await withAdmin(broker.address, async (admin) => {
        await admin.deleteTopics({ topics: [topic] })
        await context.sleep(1_000)
        await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
      })
      await write(topic, ['new 1', 'new 2', 'new 3'])
    }
    expect(seen).toEqual(['old 1', 'old 2'])
    const { trouble, values } = await readSome(open, positions, 1)
    expect(trouble).toMatchObject({ kind: 'recreated', part: `${topic}/0` })
    expect(values).toEqual([])
    await open.close()
  })

  test('a topic first met at its end keeps that place though nothing came yet', async () => {
    const topic = await newTopic(2)
    await write(topic, ['before'], 1)
    const open = await source(topic, 'latest')
    const stop = new AbortController()
    const pins: Record<string, string> = {}
    for await (const item of open.open({}, stop.signal)) {
      if (item.kind !== 'batch') throw new Error(JSON.stringify(item))
      expect(item.records).toEqual([])
      pins[item.part] = item.to
      if (Object.keys(pins).length === 2) stop.abort()
    }
    await open.close()
    await write(topic, ['after'], 1)
    const again = await source(topic, 'latest')
    expect((await readSome(again, pins, 1)).values).toEqual(['after'])
    await again.close()
  })

  test('a topic that is not there is said by name and tried again', async () => {
    const open = await source('no-such-topic')
    const { trouble } = await readSome(open, {}, 1)
    expect(trouble).toMatchObject({ kind: 'lost' })
    expect(JSON.stringify(trouble)).toContain('no-such-topic')
    await open.close()
  })

  test.skipIf(process.env['VARVE_TEST_KAFKA'] !== undefined)(
    'a broker killed and started again: reading goes on where it was',
    async () => {
      const topic = await newTopic(1)
      await write(topic, ['1', '2'])
      const open = await source(topic)
      const stop = new AbortController()
      const seen: string[] = []
      let positions: Record<string, string> = {}
      const reading = (async () => {
        while (!stop.signal.aborted) {
          for await (const item of open.open(positions, stop.signal)) {
            if (item.kind !== 'batch') {
              expect(item.kind).toBe('lost')
              break
            }
            for (const { value } of item.records) seen.push(Buffer.from(value ?? '').toString())
            positions = { ...positions, [item.part]: item.to }
            if (seen.length >= 4) stop.abort()
          }
        }
      })()
      while (seen.length < 2) await context.sleep(50)
      await broker.kill()
      await broker.restart()
      await write(topic, ['3', '4'])
      await reading
      await open.close()
      expect(seen).toEqual(['1', '2', '3', '4'])
    },
  )
})
