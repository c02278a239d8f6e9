// The publisher over the real log on memory ports, with a bus that is away at times.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock as clock } from '../../src/base/clock.ts'
import { VarveError } from '../../src/base/errors.ts'
import type { BusMessage } from '../../src/bus/bus.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import { decode } from '../../src/events/avro.ts'
import { GENERATION, publicEvents } from '../../src/events/public-events.ts'
import { EventPublisher } from '../../src/events/publisher.ts'
import type { Own } from '../../src/events/publisher.ts'
import { CURSORS } from '../../src/events/tables.ts'
import { SYSTEM_PROJECT } from '../../src/model/name.ts'
import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import { PROJECT, makeWorld } from '../spouts/world.ts'
import type { World } from '../spouts/world.ts'

let world: World
let tables: MemoryTables

beforeEach(async () => {
  world = await makeWorld()
  tables = new MemoryTables()
})
afterEach(() => world.close())

const alone: Own = (_name, signal, work) => work(signal)

class Topic {
  readonly messages: BusMessage[] = []
  /** Answers of the next calls: away before it took them, or after. */
  readonly away: ('before' | 'after')[] = []
  /** Messages of each call. */
  readonly calls: number[] = []

  publish = async (topic: string, messages: readonly BusMessage[]): Promise<void> => {
    expect(topic).toBe(TOPICS.events)
    this.calls.push(messages.length)
    const away = this.away.shift()
    if (away !== 'before') this.messages.push(...messages)
    if (away) throw new VarveError('UNAVAILABLE', 'the bus is away')
  }

  ids(): string[] {
    return this.messages.map(({ headers }) => headers['ce_id'] ?? '')
  }
}

/** Runs a publisher until `done` says so, and stops it. */
async function publish(topic: Topic, done: () => boolean, own: Own = alone): Promise<void> {
  const stop = new AbortController()
  const partitionOf = (key: string): number => key.length
  const { versions } = world
  const options = { versions, bus: topic, tables, clock, own, source: '/varve', partitionOf }
  const running = new EventPublisher(options).run(stop.signal)
  await Promise.race([running, world.until(async () => done())])
  stop.abort()
  await running
}

/** The ids of all events of a project. */
async function told(project: string): Promise<string[]> {
  const stop = new AbortController()
  const seq = await world.versions.watermark(project)
  const ids: string[] = []
  for await (const entry of world.versions.follow(project, 0, stop.signal)) {
    ids.push(...publicEvents(project, entry).map(({ id }) => id))
    if (entry.seq === seq) stop.abort()
  }
  return ids
}

const cursor = async (): Promise<number | undefined> =>
  (await tables.get(CURSORS, { follower: 'events', project: PROJECT, generation: GENERATION }))?.seq

test('everything is published once, in order; the next publisher goes on behind it', async () => {
  await world.propose({ op: 'repo.create', name: 'r' })
  for (let n = 0; n < 5; n++) await world.put('r', { a: `${n}\n` })
  const before = await told(PROJECT)
  const first = new Topic()
  await publish(first, () => first.messages.length >= before.length)
  expect(first.ids()).toEqual(before)
  expect(await cursor()).toBe(await world.versions.watermark(PROJECT))
  for (const { key, partition, value, headers } of first.messages) {
    expect({ key, partition }).toEqual({ key: 'default/r', partition: 9 })
    expect(decode(value).type).toBe(headers['ce_type'])
  }
  await world.put('r', { a: 'more\n' })
  const second = new Topic()
  const after = await told(PROJECT)
  await publish(second, () => second.messages.length > 0)
  expect([...first.ids(), ...second.ids()]).toEqual(after)
})

test('a bus that is away is waited for: nothing is skipped, what comes again is the same', async () => {
  await world.propose({ op: 'repo.create', name: 'r' })
  for (let n = 0; n < 3; n++) await world.put('r', { a: `${n}\n` })
  const all = await told(PROJECT)
  const topic = new Topic()
  topic.away.push('before', 'after')
  await publish(topic, () => new Set(topic.ids()).size === all.length)
  expect([...new Set(topic.ids())]).toEqual(all)
  const bytes = new Map<string, BusMessage>()
  for (const message of topic.messages) {
    const id = message.headers['ce_id'] ?? ''
    expect(bytes.get(id) ?? message).toEqual(message)
    bytes.set(id, message)
  }
  expect(topic.messages.length).toBeGreaterThan(all.length)
})

test('while the bus is away the cursor stays, so a restart begins there', async () => {
  await world.propose({ op: 'repo.create', name: 'r' })
  const topic = new Topic()
  topic.away.push('before', 'before', 'before', 'before', 'before', 'before')
  await publish(topic, () => topic.away.length < 6)
  expect(topic.messages).toEqual([])
  expect(await cursor()).toBeUndefined()
  topic.away.splice(0)
  await publish(topic, () => topic.messages.length > 0)
  expect(topic.ids()).toEqual(await told(PROJECT))
})

test('a new project is noticed; a shard that is not ours is left alone', async () => {
  const topic = new Topic()
  const create = async (name: string): Promise<void> => {
    const request = () => ({ id: world.newId(), principal: 'test' })
    await world.versions.propose(SYSTEM_PROJECT, [{ op: 'project.create', name }], request())
    await world.versions.propose(name, [{ op: 'repo.create', name: 'r' }], request())
  }
  let created: Promise<void> | undefined
  const names = Array.from({ length: 8 }, (_, n) => `p${n}`)
  const published = (): Set<string> => new Set(topic.messages.map(({ key }) => key))
  await publish(topic, () => {
    created ??= names.reduce((before, name) => before.then(() => create(name)), Promise.resolve())
    return published().size === names.length
  })
  expect([...published()].toSorted()).toEqual(names.map((name) => `${name}/r`))

  // Two owners of half of the shards each: no event twice, and none left out.
  tables = new MemoryTables()
  const [even, odd] = [new Topic(), new Topic()]
  const half =
    (rest: number): Own =>
    (name, signal, work) =>
      Number(name.split('/')[1]) % 2 === rest ? work(signal) : Promise.resolve()
  const count = (): number => even.messages.length + odd.messages.length
  const both = () => count() >= names.length
  await Promise.all([publish(even, both, half(0)), publish(odd, both, half(1))])
  expect([...even.ids(), ...odd.ids()].toSorted()).toEqual(topic.ids().toSorted())
  expect(Math.min(even.messages.length, odd.messages.length)).toBeGreaterThan(0)
})

test('more than fits in one batch and in memory comes in order too', async () => {
  const names = Array.from({ length: 1_300 }, (_, n) => `r${n}`)
  await Promise.all(names.map((name) => world.propose({ op: 'repo.create', name })))
  const all = await told(PROJECT)
  expect(all.length).toBe(1_300)
  const topic = new Topic()
  topic.away.push('before')
  await publish(topic, () => topic.messages.length >= all.length)
  expect(topic.ids()).toEqual(all)
  expect(Math.max(...topic.calls)).toBeGreaterThan(1)
})

test('what contradicts itself ends the publisher loudly', async () => {
  await world.propose({ op: 'repo.create', name: 'r' })
  const topic = { publish: () => Promise.reject(new TypeError('a defect')) }
  const options = { versions: world.versions, bus: topic, tables, clock, own: alone }
  const more = { source: '/varve', partitionOf: () => 0 }
  const never = new AbortController().signal
  await expect(new EventPublisher({ ...options, ...more }).run(never)).rejects.toThrow('a defect')
})
