// The bus while brokers die, freeze and come back: three of them, two must acknowledge.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { KafkaBus } from '../../src/bus/adapters/kafka/bus.ts'
import { checkKafka } from '../../src/bus/adapters/kafka/check.ts'
import type { Subscription } from '../../src/bus/bus.ts'
import type { TopicSpec } from '../../src/bus/topics.ts'
import { KafkaServer, kafkaAvailable } from '../services/kafka.ts'

const SPEC: TopicSpec = {
  partitions: 6,
  partitionsFixed: true,
  retentionMs: 3_600_000,
  maxMessageBytes: 1_048_576,
  timestamps: 'log',
}

let server: KafkaServer
let bus: KafkaBus

const options = () => ({
  connection: { brokers: server.address.split(',') },
  topicPrefix: 'three',
  clock: systemClock,
  topics: { 'varve.a': SPEC },
})

interface Ears {
  readonly tail: Set<string>
  readonly group: Set<string>
  readonly subscriptions: readonly Subscription[]
}

function listen(group: string): Ears {
  const [tail, grouped] = [new Set<string>(), new Set<string>()]
  const into = (heard: Set<string>) => (messages: readonly { value: Uint8Array }[]) => {
    for (const { value } of messages) heard.add(fromUtf8(value))
    return Promise.resolve()
  }
  const subscriptions = [
    bus.subscribe('varve.a', { tail: true }, into(tail)),
    bus.subscribe('varve.a', { group }, into(grouped)),
  ]
  return { tail, group: grouped, subscriptions }
}

/** To every partition, again and again, until one round went through whole. @returns its messages */
async function round(name: string): Promise<readonly string[]> {
  for (let attempt = 0; ; attempt++) {
    const texts = Array.from({ length: 6 }, (_, p) => `${name} ${attempt} ${p}`)
    const sent = await Promise.allSettled(
      texts.map((text, partition) =>
        bus.publish('varve.a', [{ partition, key: 'k', headers: {}, value: utf8(text) }]),
      ),
    )
    if (sent.every(({ status }) => status === 'fulfilled')) return texts
    for (const one of sent)
      if (one.status === 'rejected') expect(isVarveError(one.reason, 'UNAVAILABLE')).toBe(true)
  }
}

/** A tail hears from about now on: rounds until it stands. */
async function standing(ears: Ears): Promise<void> {
  for (;;) {
    const texts = await round('before')
    const limit = AbortSignal.timeout(2_000)
    await heard(ears, texts, limit)
    if (!limit.aborted) return
  }
}

async function heard(ears: Ears, texts: readonly string[], signal?: AbortSignal): Promise<void> {
  const all = (): boolean => texts.every((text) => ears.tail.has(text) && ears.group.has(text))
  while (!all() && !signal?.aborted) await systemClock.sleep(50)
}

describe.skipIf(!kafkaAvailable)('bus on three brokers', () => {
  beforeAll(async () => {
    server = await KafkaServer.own({ brokers: 3 })
    bus = await KafkaBus.open(options())
  })
  afterAll(async () => {
    await bus?.close()
    await server?.stop()
  })

  test('topics are made with three copies, two of which must acknowledge', async () => {
    const checks = await Array.fromAsync(checkKafka(options(), systemClock))
    expect(checks.filter(({ state }) => state !== 'ok')).toEqual([])
  })

  test('one killed: what is acknowledged later is heard by tail and group; it comes back', async () => {
    const ears = listen('killed')
    await standing(ears)
    await server.kill(0)
    await heard(ears, await round('without'))
    await bus.probe()
    await server.restart(0)
    await heard(ears, await round('again'))
    await Promise.all(ears.subscriptions.map((each) => each.close()))
  })

  test('one frozen with its connections open, each in turn: the others take over', async () => {
    const ears = listen('frozen')
    await standing(ears)
    for (const broker of [0, 1, 2]) {
      server.pause(broker)
      try {
        await heard(ears, await round(`without ${broker}`))
      } finally {
        server.resume(broker)
      }
      await heard(ears, await round(`again ${broker}`))
    }
    await Promise.all(ears.subscriptions.map((each) => each.close()))
  })

  test('all killed: publishing fails in time, one line is said, and all goes on by itself', async () => {
    const said: string[] = []
    const note = (name: string) => (): void => void said.push(name)
    const [lost, back] = [note('lost'), note('back')]
    const ears = listen('all')
    await standing(ears)
    subscribe('varve:bus:lost', lost)
    subscribe('varve:bus:back', back)
    for (const broker of [0, 1, 2]) await server.kill(broker)
    const failed: unknown = await bus
      .publish('varve.a', [{ partition: 0, key: 'k', headers: {}, value: utf8('x') }])
      .catch((error: unknown) => error)
    expect(isVarveError(failed, 'UNAVAILABLE')).toBe(true)
    await expect(bus.probe(1_000)).rejects.toThrow(/Kafka/)
    expect(bus.silentMs()).toBeGreaterThan(1_000)
    // A tail, a group and a publisher: each said it once, however often they tried.
    expect(said.filter((one) => one === 'lost').length).toBeLessThanOrEqual(3)
    await Promise.all([0, 1, 2].map((broker) => server.restart(broker)))
    await heard(ears, await round('again'))
    expect(said.filter((one) => one === 'back').length).toBeGreaterThanOrEqual(1)
    unsubscribe('varve:bus:lost', lost)
    unsubscribe('varve:bus:back', back)
    await Promise.all(ears.subscriptions.map((each) => each.close()))
  })
})
