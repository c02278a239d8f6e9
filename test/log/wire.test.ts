import { createHmac } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'

import { fromUtf8, utf8 } from '../../src/base/bytes.ts'
import type { Clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryBus } from '../../src/bus/adapters/memory.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import type { BusMessage } from '../../src/bus/bus.ts'
import type { Mac } from '../../src/log/guests.ts'
import type { Proposal } from '../../src/log/machine.ts'
import {
  decodeSent,
  decodeTold,
  encodeEntries,
  encodeLook,
  encodeSent,
  shardOf,
} from '../../src/log/wire.ts'
import { idSource } from '../../src/model/id.ts'
import { systemClock } from '../../src/base/clock.ts'
import { World, codeOf } from './toy.ts'

const nextId = idSource(systemClock, seededRandom(1))
const proposal: Proposal<{ op: string }> = {
  project: 'p',
  id: nextId(),
  ops: [{ op: 'é' }],
  principal: 'someone',
  cause: nextId(),
  issuedAtMs: 5,
  fingerprint: 'f',
  machine: false,
}

/** As another process gets it. */
function carried({ partition, key, headers, value }: BusMessage): BusMessage {
  return { partition, key, headers, value }
}

test('a proposal means the same in another process', () => {
  for (const kind of ['propose', 'give-up'] as const) {
    const sent = { kind, proposal }
    expect(decodeSent(carried(encodeSent(sent)))).toEqual(sent)
    expect(decodeSent(encodeSent(sent))).toEqual(sent)
  }
})

test('what makes no sense is said to make none', () => {
  const good = carried(encodeSent({ kind: 'propose', proposal }))
  const values = [
    '',
    '{',
    'null',
    '[]',
    '{"project":"p"}',
    JSON.stringify({ ...proposal, id: 'x' }),
  ]
  for (const value of values) {
    const bad = { ...good, value: new TextEncoder().encode(value) }
    expect(decodeSent(bad)).toBeUndefined()
  }
  expect(decodeSent({ ...good, headers: {} })).toBeUndefined()
  expect(decodeTold({ ...good, headers: { kind: 'entries' } })).toBeUndefined()
  expect(decodeTold(carried(encodeEntries('p', [])))).toEqual({
    kind: 'entries',
    project: 'p',
    entries: [],
  })
})

// Pinned: topics are laid out by it.
test('the shard of a project never changes', () => {
  expect(['default', '_system', 'a', 'video-etl'].map(shardOf)).toMatchInlineSnapshot(`
    [
      30,
      15,
      44,
      42,
    ]
  `)
})

test('what does not carry the MAC of the cluster is dropped, by lanes and by those who listen', async () => {
  const world = new World()
  const mac = macOf('secret')
  const p = world.process({ mac, bus: new PrintingBus(world.clock) })
  expect(codeOf(await p.add('a'))).toBe('yes')
  const heard: { what?: string; count?: number }[] = []
  const hear = (what: unknown): void => void heard.push(what as (typeof heard)[0])
  subscribe('varve:log:anomaly', hear)
  const proposal = {
    ...p.proposal({ ops: [{ op: 'add', key: 'a', by: 9 }] }),
    issuedAtMs: world.clock.nowMs(),
  }
  const bare = (message: BusMessage, headers?: Record<string, string>): BusMessage => {
    const { partition, key, value } = message
    return { partition, key, value, headers: headers ?? message.headers }
  }
  const sent = (by?: Mac): BusMessage => bare(encodeSent({ kind: 'propose', proposal }, by))
  const good = sent(mac)
  const forged: BusMessage[] = [
    sent(),
    sent(macOf('another')),
    bare(good, { kind: 'give-up', mac: good.headers['mac']! }),
    { ...good, key: 'q' },
    { ...good, value: utf8(fromUtf8(good.value).replace('"by":9', '"by":8')) },
    // Authentic on another topic.
    bare(encodeEntries('p', [], undefined, mac)),
  ]
  const known = (await world.entries())[0]!
  const run = [{ ...known, seq: 2, id: world.nextId() }]
  await p.bus.publish(TOPICS.proposals, forged)
  await p.bus.publish(TOPICS.log, [bare(encodeEntries('p', run)), bare(encodeLook('p'), {})])
  const followed = p.follow(2)
  await world.clock.sleep(50)
  expect(codeOf(await p.add('a'))).toBe('yes')
  unsubscribe('varve:log:anomaly', hear)
  expect((await followed).map(({ id }) => id)).not.toContain(run[0]!.id)
  const counted = heard.filter(({ what }) => what?.includes('not of this cluster'))
  expect(counted.reduce((sum, { count = 0 }) => sum + count, 0)).toBe(forged.length + 2)
  expect((await world.check()).length).toBe(2)
  // The very message, as it was signed.
  await p.bus.publish(TOPICS.proposals, [good])
  await p.follow(3)
  expect((await world.check()).at(-1)?.decision).toEqual({ yes: [{ key: 'a', value: 11 }] })
  await world.close()
})

/** As a bus between processes: nothing but the bytes arrives. */
class PrintingBus extends MemoryBus {
  constructor(clock: Clock) {
    super({ clock })
  }

  override publish(topic: string, messages: readonly BusMessage[]): Promise<void> {
    return super.publish(
      topic,
      messages.map(({ partition, key, headers, value }) => ({ partition, key, headers, value })),
    )
  }
}

function macOf(secret: string): Mac {
  const sign = (bytes: Uint8Array): string =>
    createHmac('sha256', secret).update(bytes).digest('hex')
  return { sign, verify: (bytes, mac) => sign(bytes) === mac }
}
