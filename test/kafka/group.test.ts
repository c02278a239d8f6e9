// A member of a group before a coordinator that keeps it waiting, and before brokers that refuse it.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { GroupSubscription } from '../../src/bus/adapters/kafka/group.ts'
import { TopicKeeper } from '../../src/bus/adapters/kafka/topic-keeper.ts'
import type { ApiName } from '../../src/kafka/request.ts'
import { WireWriter } from '../../src/kafka/wire.ts'
import { broker, closeAll, connect, ends, fetched, metadata } from './fake.ts'
import type { Answer } from './fake.ts'

afterEach(closeAll)

const [NONE, DENIED, MEMBER_ID_REQUIRED] = [0, 29, 79]

/** A heartbeat every 100 ms. */
const quick: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => 20 * systemClock.monotonicMs(),
  sleep: (ms, signal) => systemClock.sleep(ms / 20, signal),
}

const ok: Answer = () => new WireWriter().int32(0).int16(NONE).noTags()

function coordinator(address: string): WireWriter {
  const [host = '', port] = address.split(':')
  const body = new WireWriter().int32(0)
  body.compactArray(['g'], (key) => {
    body.compactString(key).int32(0).compactString(host).int32(Number(port))
    body.int16(NONE).compactString(null).noTags()
  })
  return body.noTags()
}

/** The member is told that it leads a group of itself. */
function joined(code: number): WireWriter {
  const body = new WireWriter().int32(0).int16(code).int32(1)
  body.compactString(null).compactString(null).compactString('me').compactString('me')
  return body.compactArray([], () => {}).noTags()
}

function assigned(): WireWriter {
  const own = new WireWriter().int16(0).int32(1).string('t').int32(1).int32(0).int32(0)
  const body = new WireWriter().int32(0).int16(NONE).compactString(null).compactString(null)
  return body.compactBytes(own.bytes()).noTags()
}

function noOffsets(): WireWriter {
  const body = new WireWriter().int32(0)
  body.compactArray(['g'], (group) => {
    body.compactString(group).compactArray([], () => {})
    body.int16(NONE).noTags()
  })
  return body.noTags()
}

async function member(answers: Partial<Record<ApiName, Answer>>): Promise<GroupSubscription> {
  const only: string = await broker(() => ({
    Metadata: () => metadata([only], [0]),
    FindCoordinator: () => coordinator(only),
    ...answers,
  }))
  const connection = connect(only)
  return new GroupSubscription({
    topic: 't',
    group: 'g',
    connection,
    keeper: new TopicKeeper({ connection, topicPrefix: 'p', replication: 1, specs: {} }),
    clock: quick,
    random: systemRandom,
    handler: () => Promise.resolve(),
  })
}

test('closed while the others are waited for, a member gives its place back', async () => {
  const left: (string | null)[] = []
  const waits = Promise.withResolvers<void>()
  let joins = 0
  const own = await member({
    JoinGroup: () => {
      if (++joins === 1) return joined(MEMBER_ID_REQUIRED)
      waits.resolve()
      return undefined
    },
    LeaveGroup: (request) => {
      request.compactString()
      left.push(...request.compactArray(() => request.compactString()))
      return ok(request)
    },
  })
  await waits.promise
  await own.close()
  expect(left).toEqual(['me'])
})

test('reading that is refused is said once, whatever heartbeats say', async () => {
  const said: string[] = []
  const note = (name: string) => (): void => void said.push(name)
  const [lost, back] = [note('lost'), note('back')]
  subscribe('varve:bus:lost', lost)
  subscribe('varve:bus:back', back)
  let beats = 0
  let reads = 0
  const own = await member({
    JoinGroup: () => joined(NONE),
    SyncGroup: assigned,
    OffsetFetch: noOffsets,
    OffsetCommit: () =>
      new WireWriter()
        .int32(0)
        .compactArray([], () => {})
        .noTags(),
    ListOffsets: () => ends([0]),
    LeaveGroup: ok,
    Heartbeat: (request) => {
      beats++
      return ok(request)
    },
    Fetch: () => {
      reads++
      return fetched([{ partition: 0, code: DENIED }])
    },
  })
  while (beats < 4 || reads < 4) await systemClock.sleep(5)
  await own.close()
  unsubscribe('varve:bus:lost', lost)
  unsubscribe('varve:bus:back', back)
  expect(said).toEqual(['lost'])
})
