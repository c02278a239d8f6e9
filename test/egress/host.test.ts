import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { VarveError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { EgressHost } from '../../src/egress/host.ts'
import { readEgressDocument } from '../../src/egress/spec.ts'
import type { EgressProgress } from '../../src/model/entities.ts'
import type { Versions } from '../../src/versions/versions.ts'
import { PROJECT, makeWorld } from '../spouts/world.ts'
import type { World } from '../spouts/world.ts'
import { ToySink } from './toy-sink.ts'

const undo: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

interface Bench {
  readonly world: World
  readonly sink: ToySink
  /** Puts the egress and waits for nothing. */
  putEgress(): Promise<void>
  start(versions?: Versions): { host: EgressHost; stop(): Promise<void> }
  row(): ReturnType<Versions['egress']>
  /** The egress has delivered this commit whole. */
  delivered(commit: string): Promise<void>
}

async function bench(batchRecords = 3): Promise<Bench> {
  const world = await makeWorld()
  undo.push(() => world.close())
  const sink = new ToySink()
  await world.propose({ op: 'repo.create', name: 'results' })
  const row = (): ReturnType<Versions['egress']> => world.versions.egress(PROJECT, 'out')
  return {
    world,
    sink,
    row,
    putEgress: () => {
      const document = { egress: { name: 'out' }, from: 'results@master', sink: { toy: {} } }
      const egress = readEgressDocument(document, [sink.connector()])
      return world.propose({ op: 'egress.put', egress })
    },
    start: (versions = world.versions) => {
      const stop = new AbortController()
      const host = new EgressHost({
        versions,
        connectors: [sink.connector()],
        clock: systemClock,
        random: seededRandom(1),
        batchRecords,
      })
      const done = host.run(stop.signal)
      const end = async (): Promise<void> => {
        stop.abort()
        await done
      }
      undo.push(end)
      return { host, stop: end }
    },
    delivered: async (commit) => {
      await world.until(async () => (await row())?.base === commit)
    },
  }
}

test('each commit sends the lines it brought, in path order, with ids that say where they are', async () => {
  const { world, sink, putEgress, start, delivered, row } = await bench()
  const first = await world.put('results', { 'b.txt': 'three\n', 'a.txt': 'one\ntwo\n' })
  await putEgress()
  start()
  await delivered(first)
  expect(sink.written).toEqual([
    { id: `${first}:a.txt#1`, value: 'one' },
    { id: `${first}:a.txt#2`, value: 'two' },
    { id: `${first}:b.txt#1`, value: 'three' },
  ])
  const second = await world.put('results', { 'a.txt': 'one\ntwo\nfour\nfive', 'b.txt': null })
  await delivered(second)
  expect(sink.written.slice(3)).toEqual([
    { id: `${second}:a.txt#3`, value: 'four' },
    { id: `${second}:a.txt#4`, value: 'five' },
  ])
  expect((await row())?.deliveredRecords).toBe(5)
  // What was not ended by a newline was sent as a line, so a longer one is another line.
  const third = await world.put('results', { 'a.txt': 'one\ntwo\nfour\nfive and a half\n' })
  await delivered(third)
  expect(sink.values.slice(5)).toEqual(['one', 'two', 'four', 'five and a half'])
})

test('a line of commits made before the egress is delivered from its first commit on', async () => {
  const { world, sink, putEgress, start, delivered } = await bench()
  await world.put('results', { '1': 'a\n' })
  await world.put('results', { '2': 'b\n' })
  const last = await world.put('results', { '1': 'c\n' })
  await putEgress()
  const { host } = start()
  await delivered(last)
  expect(sink.values).toEqual(['a', 'b', 'c'])
  await world.until(async () => host.status(PROJECT, 'out')?.lagCommits === 0)
  expect(host.status(PROJECT, 'out')).toMatchObject({ state: 'running', lastDeliveredId: last })
})

test('what was dropped before is passed over, and the next brings all it holds', async () => {
  const { world, sink, putEgress, start, delivered } = await bench()
  await world.put('results', { '1': 'a\n' })
  const dropped = await world.put('results', { '2': 'b\n' })
  await world.put('results', { '1': 'a\nc\n' })
  const last = await world.put('results', { '3': 'd\n' })
  const [, , , first] = await Array.fromAsync(world.versions.commits(PROJECT, 'results'))
  if (!first) throw new Error('no commit')
  for (const id of [first.id, dropped])
    await world.propose({ op: 'commit.drop', commits: [{ ...first, id: id as typeof first.id }] })
  await putEgress()
  start()
  await delivered(last)
  expect(sink.values).toEqual(['a', 'c', 'b', 'd'])
})

test('stopped inside a commit it goes on at the record behind the last recorded batch', async () => {
  const { world, sink, putEgress, start, delivered, row } = await bench(4)
  const values = Array.from({ length: 10 }, (_, i) => `v${i}`)
  const commit = await world.put('results', { a: values.map((value) => `${value}\n`).join('') })
  await putEgress()
  sink.refuse = (write) => (write === 2 ? { kind: 'lost', text: 'gone' } : null)
  const { host, stop } = start()
  await world.until(async () => (await row())?.progress?.records === 8)
  await world.until(async () => host.status(PROJECT, 'out')?.cause === 'gone')
  await stop()
  expect((await row())?.progress).toEqual({
    commit,
    records: 8,
    done: false,
    coordinates: { length: 8 },
  })
  start()
  await delivered(commit)
  expect(sink.values).toEqual(values)
  expect(sink.opened.at(-1)).toEqual({ length: 8 })
})

test('killed between sending and recording, at most one batch is sent twice, under the same ids', async () => {
  const { world, sink, putEgress, start, delivered } = await bench(4)
  const values = Array.from({ length: 30 }, (_, i) => `v${i}`)
  const commit = await world.put('results', { a: values.map((value) => `${value}\n`).join('') })
  await putEgress()
  // The host's proposals never arrive from the third on, as if it died there.
  let proposals = 0
  const dying = new Proxy(world.versions, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'propose') return typeof value === 'function' ? value.bind(target) : value
      return (...args: Parameters<Versions['propose']>) => {
        if (++proposals > 3) throw new VarveError('STALE_STATE', 'dead')
        return target.propose(...args)
      }
    },
  })
  const { stop } = start(dying)
  await world.until(async () => proposals > 3)
  await stop()
  const sent = sink.written.length
  expect(sent).toBeGreaterThan(8)
  start()
  await delivered(commit)
  expect(sink.distinct).toEqual(values)
  expect(sink.written.length - values.length).toBeLessThanOrEqual(sent - 8)
})

test('an answer that did not come is asked for again and counted once', async () => {
  const { world, sink, putEgress, start, delivered, row } = await bench()
  const commit = await world.put('results', { a: '1\n2\n3\n4\n5\n' })
  await putEgress()
  let silent = 2
  const deaf = new Proxy(world.versions, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'propose') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<Versions['propose']>) => {
        const entry = await target.propose(...args)
        if (silent-- > 0) throw new VarveError('UNAVAILABLE', 'no answer')
        return entry
      }
    },
  })
  start(deaf)
  await delivered(commit)
  expect(sink.values).toEqual(['1', '2', '3', '4', '5'])
  expect((await row())?.deliveredRecords).toBe(5)
})

test('a branch moved off what was delivered pauses with BRANCH_MOVED and sends nothing', async () => {
  const { world, sink, putEgress, start, delivered, row } = await bench()
  const first = await world.put('results', { a: '1\n' })
  const second = await world.put('results', { b: '2\n' })
  await putEgress()
  start()
  await delivered(second)
  await world.propose({
    op: 'branch.put',
    branch: { repo: 'results', branch: 'master' },
    head: first as never,
  })
  await world.put('results', { c: '3\n' })
  const paused = await world.until(async () => {
    const found = await row()
    return found?.state === 'paused' && found
  })
  expect(paused.cause).toMatch(/^BRANCH_MOVED: .*does not descend/)
  expect(sink.values).toEqual(['1', '2'])
})

test('a sink that will never take it pauses the egress with its words', async () => {
  const { world, sink, putEgress, start, row } = await bench()
  await world.put('results', { a: '1\n' })
  await putEgress()
  sink.refuse = () => ({ kind: 'fatal', text: 'the topic forbids it' })
  start()
  const paused = await world.until(async () => {
    const found = await row()
    return found?.state === 'paused' && found
  })
  expect(paused.cause).toBe('the topic forbids it')
})

test('two hosts on one egress: none lost, repeats under the same ids, progress never falls', async () => {
  const { world, sink, putEgress, start, delivered, row } = await bench(4)
  const values = Array.from({ length: 60 }, (_, i) => `v${i}`)
  const commits: string[] = []
  const put = async (from: number): Promise<void> => {
    const text = values.slice(from, from + 20).map((value) => `${value}\n`)
    commits.push(await world.put('results', { [`part-${from}`]: text.join('') }))
  }
  await put(0)
  await putEgress()
  // The first batches are written only when both hosts hold one: both send the same records.
  let waiting = 0
  const gate = new AbortController()
  sink.before = async () => {
    if (++waiting === 2) gate.abort()
    await systemClock.sleep(60_000, gate.signal)
  }
  start()
  start()
  await put(20)
  await put(40)
  await delivered(commits.at(-1) as string)
  expect(sink.distinct).toEqual(values)
  const valueOf = new Map<string, string>()
  for (const { id, value } of sink.written)
    expect(valueOf.get(id) ?? valueOf.set(id, value).get(id)).toBe(value)
  expect(valueOf.size).toBe(values.length)
  expect(sink.written.length).toBeGreaterThan(values.length)
  expect((await row())?.deliveredRecords).toBe(values.length)
  // Every step the log took continues the one before it.
  const stop = new AbortController()
  const last = await world.versions.watermark(PROJECT)
  const steps: EgressProgress[] = []
  for await (const { seq, decision } of world.versions.follow(PROJECT, 0, stop.signal)) {
    for (const fact of 'yes' in decision ? decision.yes : [])
      if (fact.f === 'egress.delivered' && fact.egress.progress) steps.push(fact.egress.progress)
    if (seq >= last) break
  }
  const place = ({ commit, records }: EgressProgress): number =>
    commits.indexOf(commit) * 1_000 + records
  expect(steps.map(place)).toEqual(steps.map(place).toSorted((a, b) => a - b))
  expect(steps.filter(({ done }) => done).map(({ commit }) => commit)).toEqual(commits)
})
