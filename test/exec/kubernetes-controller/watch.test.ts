import { beforeEach, expect, test } from 'vitest'
import { seededRandom } from '../../../src/base/random.ts'
import { KubernetesError } from '../../../src/exec/adapters/kubernetes/refusal.ts'
import { Watch } from '../../../src/exec/adapters/kubernetes/watch.ts'
import { VirtualClock } from '../../log/toy.ts'
import { FakeApi } from './fake-api.ts'
import { noErrorIsLost, until as wait } from './frame.ts'

const BOUNDS = {
  watchSeconds: 20,
  graceMs: 10_000,
  relistMs: 300_000,
  backoff: { firstMs: 200, maxMs: 15_000 },
}
const SCOPE = { namespace: 'n', labels: 'ours=yes' }

let clock: VirtualClock
let api: FakeApi
let watch: Watch<'pods'>
let running: Promise<void>
let stop: AbortController
let changes: number

beforeEach(() => {
  clock = new VirtualClock()
  const random = seededRandom(1)
  api = new FakeApi(clock, random)
  changes = 0
  watch = new Watch(api, 'pods', SCOPE, { clock, random }, () => changes++, BOUNDS)
  stop = new AbortController()
  running = watch.run(stop.signal)
})

noErrorIsLost(async () => {
  stop.abort()
  await running
})

const until = (so: () => boolean): Promise<number> => wait(clock, so)
const add = (name: string, ours = true): void =>
  api.put('pods', { metadata: { name, labels: { ours: ours ? 'yes' : 'no' } } })
const names = (): string[] => watch.items.map((pod) => pod.metadata.name).toSorted()
const lists = (): number => api.asked.filter((asked) => asked === 'list pods').length

test('shows what is there, what comes, changes and goes, of our label alone', async () => {
  expect(watch.knownMs).toBe(undefined)
  add('a')
  add('foreign', false)
  await until(() => names().length === 1)
  add('b')
  await until(() => names().length === 2)
  api.put('pods', { metadata: { name: 'b', labels: { ours: 'yes', moved: 'yes' } } })
  await until(() => watch.items.some((pod) => pod.metadata.labels?.['moved'] === 'yes'))
  api.remove('pods', 'a')
  await until(() => names().length === 1)
  expect(names()).toEqual(['b'])
  expect(lists()).toBe(1)
})

test('watches that the server ends in time are continued without a list', async () => {
  await until(() => lists() === 1)
  await clock.sleep(120_000)
  add('late')
  expect(await until(() => names().length === 1)).toBeLessThan(2_000)
  expect([lists(), watch.trouble]).toEqual([1, undefined])
})

test('a broken connection leads to a new list, with what was missed', async () => {
  add('a')
  await until(() => names().length === 1)
  api.breakWatches()
  api.remove('pods', 'a')
  add('b')
  await until(() => names()[0] === 'b')
  expect([names(), lists(), watch.trouble]).toEqual([['b'], 2, undefined])
})

test('a forgotten past leads to a new list', async () => {
  await until(() => lists() === 1)
  add('a')
  await until(() => names().length === 1)
  api.forgottenUpTo = 1_000_000
  await until(() => lists() >= 3)
  api.forgottenUpTo = 0
  add('b')
  await until(() => names().length === 2)
})

test('a frozen server is found out by its silence, and all is there when it goes on', async () => {
  add('a')
  await until(() => names().length === 1)
  api.frozen = true
  add('b')
  await clock.sleep(20_000)
  expect([lists(), watch.trouble]).toEqual([1, undefined])
  // watchSeconds and the grace are over, and the list that follows gets no answer.
  await clock.sleep(12_000 + 15_000)
  expect(watch.trouble).toMatchObject({ reason: 'lost' })
  expect(names()).toEqual(['a'])
  api.frozen = false
  await until(() => watch.trouble === undefined)
  expect(names()).toEqual(['a', 'b'])
})

test('while the server refuses, the waits grow and are bounded, and the cause is shown', async () => {
  await until(() => lists() === 1)
  api.refuse = () => ['denied', 'may not list']
  api.breakWatches()
  await clock.sleep(600_000)
  expect(watch.trouble).toBeInstanceOf(KubernetesError)
  // Waits drawn from [0, 15 s): about eighty of them in ten minutes, never a tight loop or a standstill.
  expect(lists()).toBeGreaterThan(30)
  expect(lists()).toBeLessThan(200)
  api.refuse = () => undefined
  await until(() => watch.trouble === undefined)
})

test('everything is listed again after the longest time', async () => {
  await until(() => lists() === 1)
  await clock.sleep(BOUNDS.relistMs + 2 * BOUNDS.watchSeconds * 1000)
  expect(lists()).toBe(2)
})
