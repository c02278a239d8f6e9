// The bus on a real broker.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { KafkaBus } from '../../src/bus/adapters/kafka/bus.ts'
import { checkKafka } from '../../src/bus/adapters/kafka/check.ts'
import type { BusMessage } from '../../src/bus/bus.ts'
import type { TopicSpec } from '../../src/bus/topics.ts'
import { busContract } from '../contract/bus.ts'
import { kafkaAvailable } from '../services/kafka.ts'
import { withAdmin } from '../services/kafkajs.ts'
import { shared } from '../services/shared.ts'

const prefix = `bus${process.pid}x${Date.now()}`

const SPEC: TopicSpec = {
  partitions: 4,
  partitionsFixed: true,
  retentionMs: 3_600_000,
  maxMessageBytes: 1_048_576,
  timestamps: 'log',
}

const names = Array.from({ length: 10 }, (_, i) => `varve.t${i}`)
const unused = [...names]
const topics: Record<string, TopicSpec> = Object.fromEntries(names.map((name) => [name, SPEC]))

async function options(more: Partial<Parameters<typeof KafkaBus.open>[0]> = {}) {
  const brokers = [await shared('kafka')]
  return {
    connection: { brokers },
    topicPrefix: prefix,
    replication: 1,
    clock: systemClock,
    topics,
    ...more,
  }
}

const newTopic = (): string => unused.shift() ?? 'too few topics'

const message = (partition: number, text: string): BusMessage => ({
  partition,
  key: 'k',
  headers: {},
  value: utf8(text),
})

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 6_000 && !what(); i++) await systemClock.sleep(10)
  expect(what()).toBe(true)
}

describe.skipIf(!kafkaAvailable)('bus on kafka', () => {
  busContract('kafka', async () => {
    const bus = await KafkaBus.open(await options())
    return { bus, topic: () => Promise.resolve(newTopic()), close: () => bus.close() }
  })

  describe('beyond the port', () => {
    let bus: KafkaBus
    let kafka: string
    beforeAll(async () => {
      const given = await options()
      bus = await KafkaBus.open(given)
      kafka = given.connection.brokers.join(',')
    })
    afterAll(async () => {
      await bus.close()
    })

    /** Texts that come to a tail, which stands on return. */
    async function listen(topic: string, into: (messages: readonly BusMessage[]) => void) {
      let stands = false
      const tail = bus.subscribe(topic, { tail: true }, (messages) => {
        stands = true
        const own = messages.filter(({ key }) => key !== 'probe')
        if (own.length > 0) into(own)
        return Promise.resolve()
      })
      while (!stands) await bus.publish(topic, [{ ...message(0, ''), key: 'probe' }])
      return tail
    }

    test('many small publishes at once go in few sends, all arrive, in order', async () => {
      const topic = newTopic()
      const seen: string[][] = [[], [], [], []]
      let calls = 0
      const tail = await listen(topic, (messages) => {
        calls++
        for (const { partition, value } of messages) seen[partition]?.push(fromUtf8(value))
      })
      await Promise.all(
        Array.from({ length: 5_000 }, (_, i) => bus.publish(topic, [message(i % 4, `${i}`)])),
      )
      await until(() => seen.flat().length >= 5_000)
      for (const [partition, texts] of seen.entries())
        expect(texts).toEqual(Array.from({ length: 1_250 }, (_, i) => `${4 * i + partition}`))
      expect(calls).toBeLessThan(500)
      await tail.close()
    })

    test('a message over the limit fails by itself, what was published beside it arrives', async () => {
      const topic = newTopic()
      const seen: string[] = []
      const tail = await listen(topic, (messages) => {
        seen.push(...messages.map(({ value }) => fromUtf8(value).slice(0, 10)))
      })
      const large = Array.from({ length: 3_000_000 }, () =>
        String.fromCharCode(33 + Math.floor(Math.random() * 90)),
      ).join('')
      const results = await Promise.allSettled(
        ['a', large, 'b'].map((text) => bus.publish(topic, [message(0, text)])),
      )
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      const [, failed] = results
      expect(failed?.status === 'rejected' && isVarveError(failed.reason, 'TOO_LARGE')).toBe(true)
      await until(() => seen.length >= 2)
      expect(seen).toEqual(['a', 'b'])
      await tail.close()
    })

    test('a partition whose handler hangs holds up no other, and its messages are not committed', async () => {
      const topic = newTopic()
      const seen: string[] = []
      let release = (): void => {}
      const hang = new Promise<void>((resolve) => (release = resolve))
      const first = bus.subscribe(topic, { group: 'g' }, async (messages) => {
        for (const { partition, value } of messages) {
          if (partition === 0) await hang
          seen.push(fromUtf8(value))
        }
      })
      await bus.publish(topic, [message(0, 'stuck')])
      for (let i = 0; i < 40; i++) await bus.publish(topic, [message(1, `m${i}`)])
      await until(() => seen.includes('m39'))
      expect(seen).not.toContain('stuck')
      await first.close()
      const again: string[] = []
      const second = bus.subscribe(topic, { group: 'g' }, (messages) => {
        again.push(...messages.map(({ value }) => fromUtf8(value)))
        return Promise.resolve()
      })
      await until(() => again.includes('stuck'))
      // What was handled before the close was committed by it.
      expect(again).toEqual(['stuck'])
      release()
      await second.close()
    })

    test('a member killed: the other takes its partitions over', async () => {
      const topic = newTopic()
      const file = join(import.meta.dirname, '../services/kafka/member.ts')
      const brokers = await shared('kafka')
      const theirs: string[] = []
      const child: ChildProcess = spawn(process.execPath, [file, brokers, prefix, topic, 'g'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      child.stdout?.on('data', (chunk: Buffer) =>
        theirs.push(...chunk.toString().trim().split('\n')),
      )
      const ours: string[] = []
      const own = bus.subscribe(topic, { group: 'g' }, (messages) => {
        ours.push(...messages.map(({ partition, value }) => `${partition} ${fromUtf8(value)}`))
        return Promise.resolve()
      })
      const partitionsOf = (texts: readonly string[], round: string): number =>
        new Set(texts.filter((text) => text.endsWith(round)).map((text) => text[0])).size
      let round = 0
      const publishRound = async (): Promise<string> => {
        const name = ` r${++round}.`
        await bus.publish(
          topic,
          Array.from({ length: 4 }, (_, p) => message(p, name.trim())),
        )
        await systemClock.sleep(200)
        return name
      }
      // Shared once both have joined: two partitions each.
      for (let shared = false; !shared;) {
        const name = await publishRound()
        shared = partitionsOf(ours, name) === 2 && partitionsOf(theirs, name) === 2
      }
      child.kill('SIGKILL')
      const last = ` r${round + 1}.`
      await publishRound()
      await until(() => partitionsOf(ours, last) === 4)
      await own.close()
    })

    test('a topic deleted and made anew under publisher, tail and group: all go on', async () => {
      const topic = newTopic()
      const tailed: string[] = []
      const grouped: string[] = []
      const into = (list: string[]) => (messages: readonly BusMessage[]) => {
        list.push(...messages.map(({ value }) => fromUtf8(value)))
        return Promise.resolve()
      }
      const both = [
        bus.subscribe(topic, { tail: true }, into(tailed)),
        bus.subscribe(topic, { group: 'g' }, into(grouped)),
      ]
      for (let i = 0; i < 20; i++) await bus.publish(topic, [message(i % 4, `old ${i}`)])
      await until(() => tailed.length >= 20 && grouped.length >= 20)
      // Long enough for the positions to be committed: they are behind the end of the new topic.
      await systemClock.sleep(1_500)
      await withAdmin(kafka, (client) =>
        client.deleteTopics({ topics: [`${prefix}${topic.slice(5)}`] }),
      )
      // Nobody makes it again but the bus.
      for (let i = 0; i < 8; i++)
        await bus.publish(topic, [message(i % 4, `new ${i}`)]).catch(() => undefined)
      const fresh = (list: readonly string[]): number =>
        new Set(list.filter((text) => text.startsWith('later'))).size
      for (let i = 0; i < 8; i++) await bus.publish(topic, [message(i % 4, `later ${i}`)])
      await until(() => fresh(tailed) === 8 && fresh(grouped) === 8)
      await Promise.all(both.map((each) => each.close()))
      // Its positions are those of the new topic now: a member that comes hears nothing twice.
      await bus.publish(topic, [message(0, 'last')])
      const next: string[] = []
      const later = bus.subscribe(topic, { group: 'g' }, into(next))
      await until(() => next.includes('last'))
      expect(next).toEqual(['last'])
      await later.close()
    })

    test('messages gone from the broker before a group read them: it goes on at the beginning', async () => {
      const topic = newTopic()
      const name = `${prefix}${topic.slice(5)}`
      for (let i = 0; i < 6; i++) await bus.publish(topic, [message(0, `m${i}`)])
      await withAdmin(kafka, async (client) => {
        await client.setOffsets({
          groupId: `${prefix}.g.${topic.slice(6)}`,
          topic: name,
          partitions: [{ partition: 0, offset: '1' }],
        })
        await client.fetchTopicOffsets(name)
        await client.deleteTopicRecords({
          topic: name,
          partitions: [{ partition: 0, offset: '4' }],
        })
      })
      const seen: string[] = []
      const group = bus.subscribe(topic, { group: 'g' }, (messages) => {
        seen.push(...messages.map(({ value }) => fromUtf8(value)))
        return Promise.resolve()
      })
      await until(() => seen.length >= 2)
      expect(seen).toEqual(['m4', 'm5'])
      await group.close()
    })

    test('topics kept in another way are refused, with the remedy', async () => {
      const own = `${prefix}w`
      await withAdmin(kafka, (client) =>
        client.createTopics({
          topics: [
            { topic: `${own}.a`, numPartitions: 3 },
            {
              topic: `${own}.b`,
              numPartitions: 4,
              configEntries: [
                { name: 'cleanup.policy', value: 'compact' },
                { name: 'retention.ms', value: '1000' },
              ],
            },
          ],
        }),
      )
      const given = await options({
        topicPrefix: own,
        topics: { 'varve.a': SPEC, 'varve.b': SPEC },
      })
      const error: unknown = await KafkaBus.open(given).catch((thrown: unknown) => thrown)
      expect(isVarveError(error, 'MISCONFIGURED')).toBe(true)
      const text = String(error)
      expect(text).toContain(`topic "${own}.a": it has 3 partitions, not 4`)
      expect(text).toContain(`--delete --topic ${own}.a`)
      expect(text).toContain('cleanup.policy is compact')
      expect(text).toContain(`--topic ${own}.b --add-config retention.ms=3600000`)
      const checks = await Array.fromAsync(checkKafka(given, systemClock))
      expect(checks.filter(({ state }) => state === 'failed').length).toBeGreaterThanOrEqual(3)
    })

    test('more copies than brokers are refused in words, and examined without making anything', async () => {
      const given = await options({ topicPrefix: `${prefix}r`, replication: 7 })
      await expect(KafkaBus.open(given)).rejects.toMatchObject({
        code: 'MISCONFIGURED',
        message: expect.stringMatching(/7 copies on \d broker/),
      })
      const checks = await Array.fromAsync(checkKafka(given, systemClock))
      expect(checks.some(({ state, found }) => state === 'failed' && found.includes('7'))).toBe(
        true,
      )
      const ok = await Array.fromAsync(checkKafka({ ...given, replication: 1 }, systemClock))
      expect(ok.filter(({ state }) => state === 'failed')).toEqual([])
      expect(await withAdmin(kafka, (client) => client.listTopics())).not.toContain(`${prefix}r.t0`)
    })

    test('nobody listens: said at once, by address', async () => {
      const given = await options({ connection: { brokers: ['127.0.0.1:1'] } })
      const checks = await Array.fromAsync(checkKafka(given, systemClock))
      expect(checks).toMatchObject([{ what: 'Kafka at 127.0.0.1:1', state: 'failed' }])
      expect(checks[0]?.found).toContain('nobody listens')
      await expect(bus.probe()).resolves.toBeUndefined()
    })
  })
})
