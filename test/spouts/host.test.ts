import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { VarveError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { SpoutPut } from '../../src/model/ops.ts'
import { SpoutHost } from '../../src/spouts/host.ts'
import { readSpoutDocument } from '../../src/spouts/spec.ts'
import type { Versions } from '../../src/versions/versions.ts'
import { ToyFeed } from './toy-source.ts'
import { PROJECT, makeWorld } from './world.ts'
import type { World } from './world.ts'

const undo: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

interface Running {
  readonly world: World
  readonly feed: ToyFeed
  readonly host: SpoutHost
  stop(): Promise<void>
  /** Starts another host beside or after the first. */
  again(versions?: Versions): { host: SpoutHost; stop(): Promise<void> }
}

async function running(
  feed: ToyFeed,
  more: Readonly<Record<string, unknown>> = {},
  commit: Readonly<Record<string, number>> = { idleMs: 15 },
): Promise<Running> {
  const world = await makeWorld()
  undo.push(() => world.close())
  const document = {
    spout: { name: 'orders' },
    source: { toy: {} },
    target: 'orders@master',
    commit,
    ...more,
  }
  const spout = readSpoutDocument(document, [feed.connector()])
  await world.propose({ op: 'spout.put', spout })
  const again = (versions = world.versions): { host: SpoutHost; stop(): Promise<void> } => {
    const stop = new AbortController()
    const connectors = [feed.connector()]
    const host = new SpoutHost({
      versions,
      connectors,
      clock: systemClock,
      random: seededRandom(1),
    })
    const done = host.run(stop.signal)
    const end = async (): Promise<void> => {
      stop.abort()
      await done
    }
    undo.push(end)
    return { host, stop: end }
  }
  return { world, feed, ...again(), again }
}

/** All lines of a part in the order of their files. */
async function linesOf(world: World, part: string): Promise<string[]> {
  const files = await world.files('orders')
  return Object.keys(files)
    .filter((path) => path.startsWith(`${part}/`))
    .toSorted()
    .flatMap((path) => (files[path] ?? '').split('\n').slice(0, -1))
}

async function position(world: World, part: string): Promise<string | undefined> {
  return (await world.versions.spout(PROJECT, 'orders'))?.positions[part]
}

test('records become lines of files named by their range, and the position is in the log', async () => {
  const feed = new ToyFeed()
  feed.push('orders/0', 'a', 'b')
  feed.push('orders/1', 'c')
  const { world, host } = await running(feed)
  await world.until(
    async () =>
      (await position(world, 'orders/1')) && (await position(world, 'orders/0')) === '2@one',
  )
  expect(await world.files('orders')).toEqual({
    'orders/0/00000000000000000000-00000000000000000002.ndjson': 'a\nb\n',
    'orders/1/00000000000000000000-00000000000000000001.ndjson': 'c\n',
  })
  feed.push('orders/0', 'd')
  await world.until(async () => (await position(world, 'orders/0')) === '3@one')
  expect(await linesOf(world, 'orders/0')).toEqual(['a', 'b', 'd'])
  await world.until(async () => feed.acked.at(-1)?.['orders/0'] === '3@one')
  const status = host.status(PROJECT, 'orders')
  expect(status).toMatchObject({ state: 'running', cause: null, openRecords: 0 })
  expect(status?.parts['orders/0']?.position).toBe('3@one')
})

test('a commit is full at so many records, and order holds over many of them', async () => {
  const feed = new ToyFeed()
  const values = Array.from({ length: 100 }, (_, i) => `v${i}`)
  feed.push('orders/0', ...values)
  const { world } = await running(feed, {}, { records: 9, ageMs: 60_000, idleMs: 30 })
  await world.until(async () => (await position(world, 'orders/0')) === '100@one')
  expect(await linesOf(world, 'orders/0')).toEqual(values)
  expect(Object.keys(await world.files('orders')).length).toBeGreaterThan(8)
})

test('a host that was stopped goes on where the log stands', async () => {
  const feed = new ToyFeed()
  feed.push('orders/0', 'a', 'b')
  const first = await running(feed)
  await first.world.until(async () => (await position(first.world, 'orders/0')) === '2@one')
  await first.stop()
  feed.push('orders/0', 'c')
  first.again()
  await first.world.until(async () => (await position(first.world, 'orders/0')) === '3@one')
  expect(await linesOf(first.world, 'orders/0')).toEqual(['a', 'b', 'c'])
  expect(feed.opened.at(-1)).toEqual({ 'orders/0': '2@one' })
})

test('two hosts on one spout: each record once, in order', async () => {
  const feed = new ToyFeed()
  const { world, again } = await running(feed, {}, { records: 5, idleMs: 5 })
  again()
  const values = Array.from({ length: 200 }, (_, i) => `v${i}`)
  for (let i = 0; i < values.length; i += 10) {
    feed.push('orders/0', ...values.slice(i, i + 10))
    await systemClock.sleep(3)
  }
  await world.until(async () => (await position(world, 'orders/0')) === '200@one')
  expect(await linesOf(world, 'orders/0')).toEqual(values)
})

test('an answer that did not come is asked for again, and the range is committed once', async () => {
  const feed = new ToyFeed()
  const { world, stop, again } = await running(feed)
  await stop()
  let silent = 3
  const real = world.versions
  const deaf = new Proxy(real, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'commitFiles') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<Versions['commitFiles']>) => {
        const commit = await target.commitFiles(...args)
        if (silent-- > 0)
          throw new VarveError('UNAVAILABLE', 'no answer', { details: { pending: true } })
        return commit
      }
    },
  })
  feed.push('orders/0', 'a', 'b')
  again(deaf)
  await world.until(async () => silent < 0)
  feed.push('orders/0', 'c')
  await world.until(async () => (await position(world, 'orders/0')) === '3@one')
  expect(await linesOf(world, 'orders/0')).toEqual(['a', 'b', 'c'])
  let commits = 0
  for await (const commit of real.commits(PROJECT, 'orders')) commits += commit.feed ? 1 : 0
  expect(commits).toBe(2)
})

test('a gap stops the spout with words, after what came before it; accepted, it goes on behind it', async () => {
  const feed = new ToyFeed()
  feed.push('orders/0', 'a', 'b', 'c', 'd')
  const { world } = await running(feed)
  await world.until(async () => (await position(world, 'orders/0')) === '4@one')
  await world.propose({ op: 'spout.set', name: 'orders', state: 'paused', cause: null })
  feed.push('orders/0', 'lost', 'e')
  feed.kept.set('orders/0', 5)
  await world.propose({ op: 'spout.set', name: 'orders', state: 'running', cause: null })
  const row = await world.until(async () => {
    const found = await world.versions.spout(PROJECT, 'orders')
    return found?.state === 'paused' && found.cause !== null && found
  })
  expect(row.cause).toMatch(/orders\/0: 4 to 5 are gone.*gap: accept/)
  expect(row.positions).toEqual({ 'orders/0': '4@one' })

  const spec = { ...row.spec, gap: 'accept' }
  await world.propose({
    op: 'spout.put',
    spout: { name: 'orders', repo: 'orders', branch: 'master', spec },
  })
  await world.propose({ op: 'spout.set', name: 'orders', state: 'running', cause: null })
  await world.until(async () => (await position(world, 'orders/0')) === '6@one')
  expect(await linesOf(world, 'orders/0')).toEqual(['a', 'b', 'c', 'd', 'e'])
  const files = Object.keys(await world.files('orders'))
  expect(files).toContain('orders/0/00000000000000000005-00000000000000000006.ndjson')
})

test('a record that cannot be a line stops the spout before it, or is kept beside', async () => {
  const feed = new ToyFeed()
  feed.push('orders/0', 'a', 'two\nlines', 'b')
  const { world } = await running(feed)
  const row = await world.until(async () => {
    const found = await world.versions.spout(PROJECT, 'orders')
    return found?.state === 'paused' && found
  })
  expect(row.cause).toMatch(/orders\/0:1: its value holds a newline/)
  expect(row.positions).toEqual({ 'orders/0': '1@one' })
  expect(await linesOf(world, 'orders/0')).toEqual(['a'])

  const spec = { ...row.spec, deadLetters: {} }
  await world.propose({
    op: 'spout.put',
    spout: { name: 'orders', repo: 'orders', branch: 'master', spec },
  })
  await world.propose({ op: 'spout.set', name: 'orders', state: 'running', cause: null })
  await world.until(async () => (await position(world, 'orders/0')) === '3@one')
  expect(await linesOf(world, 'orders/0')).toEqual(['a', 'b'])
  const files = await world.files('orders')
  expect(files['_poison/orders/0/00000000000000000001']).toBe('two\nlines')
})

test('a lost connection is opened again from the log, and nothing comes twice', async () => {
  const feed = new ToyFeed()
  feed.push('orders/0', 'a')
  const { world } = await running(feed)
  await world.until(async () => (await position(world, 'orders/0')) === '1@one')
  feed.trouble = { kind: 'lost', text: 'the broker went away' }
  feed.push('orders/0', 'b')
  await world.until(async () => (await position(world, 'orders/0')) === '2@one')
  expect(await linesOf(world, 'orders/0')).toEqual(['a', 'b'])
})

test('a paused spout reads nothing, and goes on when it may', async () => {
  const feed = new ToyFeed()
  feed.push('orders/0', 'a')
  const { world } = await running(feed)
  await world.until(async () => (await position(world, 'orders/0')) === '1@one')
  await world.propose({ op: 'spout.set', name: 'orders', state: 'paused', cause: 'by hand' })
  const opened = feed.opened.length
  feed.push('orders/0', 'b')
  await systemClock.sleep(60)
  expect(await position(world, 'orders/0')).toBe('1@one')
  expect(feed.opened.length).toBe(opened)
  await world.propose({ op: 'spout.set', name: 'orders', state: 'running', cause: null })
  await world.until(async () => (await position(world, 'orders/0')) === '2@one')
})

/** Puts a spout of this name on the same branch, over a feed of its own. */
function spoutNamed(name: string, feed: ToyFeed): SpoutPut {
  const source = { [name]: {} }
  const document = { spout: { name }, source, target: 'orders@master', commit: { idleMs: 15 } }
  return readSpoutDocument(document, [{ ...feed.connector(), name }])
}

test('a source made again and read by another spout has a folder of its own; the old files stay', async () => {
  const feed = new ToyFeed()
  feed.push('orders/0', 'a', 'b')
  const { world, stop } = await running(feed)
  await world.until(async () => (await position(world, 'orders/0')) === '2@one')
  await stop()
  const again = new ToyFeed()
  again.identity = 'two+words/and more'
  again.push('orders/0', 'A', 'B')
  await world.propose({ op: 'spout.put', spout: spoutNamed('second', again) })
  const serve = (): (() => Promise<void>) => {
    const connectors = [feed.connector(), { ...again.connector(), name: 'second' }]
    const { versions } = world
    const clock = systemClock
    const host = new SpoutHost({ versions, connectors, clock, random: seededRandom(2) })
    const end = new AbortController()
    const done = host.run(end.signal)
    return async () => {
      end.abort()
      await done
    }
  }
  const stopFirst = serve()
  const at = async (name: string): Promise<string | undefined> =>
    (await world.versions.spout(PROJECT, name))?.positions['orders/0']
  await world.until(async () => (await at('second'))?.startsWith('2@two'))
  await stopFirst()
  // Each goes on in its own folder, in another host and after it was put anew.
  await world.propose({ op: 'spout.put', spout: spoutNamed('second', again) })
  feed.push('orders/0', 'c')
  again.push('orders/0', 'C')
  undo.push(serve())
  await world.until(async () => (await at('second'))?.startsWith('3@two'))
  await world.until(async () => (await at('orders'))?.startsWith('3@one'))
  expect(await world.files('orders')).toEqual({
    'orders/0/00000000000000000000-00000000000000000002.ndjson': 'a\nb\n',
    'orders/0/00000000000000000002-00000000000000000003.ndjson': 'c\n',
    'orders/0@twowords/00000000000000000000-00000000000000000002.ndjson': 'A\nB\n',
    'orders/0@twowords/00000000000000000002-00000000000000000003.ndjson': 'C\n',
  })
})

test('a source that begins anew under one spout goes on in another folder', async () => {
  const feed = new ToyFeed()
  feed.push('orders/0', 'a', 'b')
  const { world } = await running(feed, { gap: 'accept' })
  await world.until(async () => (await position(world, 'orders/0')) === '2@one')
  feed.identity = 'two'
  feed.parts.set('orders/0', ['A'])
  feed.trouble = { kind: 'gap', part: 'orders/0', text: 'made again', from: '2@one', to: '0@two' }
  await world.until(async () => (await position(world, 'orders/0')) === '1@two')
  feed.push('orders/0', 'B')
  await world.until(async () => (await position(world, 'orders/0')) === '2@two')
  expect(await world.files('orders')).toEqual({
    'orders/0/00000000000000000000-00000000000000000002.ndjson': 'a\nb\n',
    'orders/0@two/00000000000000000000-00000000000000000001.ndjson': 'A\n',
    'orders/0@two/00000000000000000001-00000000000000000002.ndjson': 'B\n',
  })
})

test('spouts that meet the same part at once never share its folder', async () => {
  const feeds = ['one', 'two', 'three'].map((identity) => {
    const feed = new ToyFeed()
    feed.identity = identity
    feed.push('orders/0', identity)
    return { identity, feed }
  })
  const world = await makeWorld()
  undo.push(() => world.close())
  for (const { identity, feed } of feeds)
    await world.propose({ op: 'spout.put', spout: spoutNamed(identity, feed) })
  // Each commit begins only when all three have looked at the same, empty head.
  let looking = 0
  const gate = new AbortController()
  const versions = new Proxy(world.versions, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'commitFiles') return typeof value === 'function' ? value.bind(target) : value
      return async (...args: Parameters<Versions['commitFiles']>) => {
        if (++looking === feeds.length) gate.abort()
        await systemClock.sleep(60_000, gate.signal)
        return target.commitFiles(...args)
      }
    },
  })
  const host = new SpoutHost({
    versions,
    connectors: feeds.map(({ identity, feed }) => ({ ...feed.connector(), name: identity })),
    clock: systemClock,
    random: seededRandom(3),
  })
  const end = new AbortController()
  const done = host.run(end.signal)
  undo.push(async () => {
    end.abort()
    await done
  })
  for (const { identity } of feeds)
    await world.until(
      async () => (await world.versions.spout(PROJECT, identity))?.positions['orders/0'],
    )
  const files = Object.entries(await world.files('orders'))
  expect(files.map(([, text]) => text).toSorted()).toEqual(['one\n', 'three\n', 'two\n'])
})
