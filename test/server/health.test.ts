import { afterEach, expect, test } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { Health } from '../../src/server/health.ts'
import type { Dependency } from '../../src/server/health.ts'
import { createHealthServer } from '../../src/server/health-server.ts'

/** Time that moves when it is told to. */
class HandClock implements Clock {
  #nowMs = 0
  readonly #sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>()

  nowMs = (): number => this.#nowMs
  monotonicMs = (): number => this.#nowMs

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = {
        atMs: this.#nowMs + ms,
        wake: () => {
          this.#sleepers.delete(sleeper)
          resolve()
        },
      }
      if (signal?.aborted) return resolve()
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', sleeper.wake, { once: true })
    })
  }

  /** In steps, so that what wakes can sleep again. */
  async pass(ms: number): Promise<void> {
    for (const endMs = this.#nowMs + ms; this.#nowMs < endMs;) {
      this.#nowMs = Math.min(endMs, this.#nowMs + 250)
      for (const one of this.#sleepers) if (one.atMs <= this.#nowMs) one.wake()
      await new Promise(setImmediate)
    }
  }

  /** As if something had held the loop: nobody woke in between. */
  async block(ms: number): Promise<void> {
    this.#nowMs += ms
    for (const one of this.#sleepers) if (one.atMs <= this.#nowMs) one.wake()
    await new Promise(setImmediate)
  }
}

class Switch implements Dependency {
  readonly name: string
  answer: 'yes' | 'no' | 'never' = 'yes'
  constructor(name: string) {
    this.name = name
  }
  probe(): Promise<void> {
    if (this.answer === 'yes') return Promise.resolve()
    if (this.answer === 'no') return Promise.reject(new Error('connection refused'))
    return new Promise(() => undefined)
  }
}

const said = (ask: () => void): string => {
  try {
    ask()
  } catch (error) {
    if (isVarveError(error, 'UNAVAILABLE')) return error.message
    throw error
  }
  return 'fine'
}

const stop: AbortController[] = []
afterEach(() => stop.splice(0).forEach((one) => one.abort()))

function start(...dependencies: Switch[]): { clock: HandClock; health: Health } {
  const clock = new HandClock()
  const health = new Health({ clock, dependencies })
  const until = new AbortController()
  stop.push(until)
  void health.run(until.signal)
  return { clock, health }
}

test('ready from its start until it drains, and never again', () => {
  const { health } = start(new Switch('Kafka'))
  expect(said(() => health.ready())).toContain('it is starting')
  health.started()
  expect(said(() => health.ready())).toBe('fine')
  health.drain()
  health.started()
  expect(said(() => health.ready())).toContain('it is stopping')
  expect(said(() => health.acceptWork())).toContain('this server is stopping')
  expect(said(() => health.live())).toBe('fine')
})

test.each(['no', 'never'] as const)(
  'a dependency that answers %s: away after ten seconds, named, never a matter of life; back at once',
  async (answer) => {
    const [kafka, store] = [new Switch('Kafka'), new Switch('the blob store')]
    const { clock, health } = start(kafka, store)
    health.started()
    await clock.pass(20_000)
    expect(said(() => health.ready())).toBe('fine')

    kafka.answer = answer
    await clock.pass(7_000)
    expect(said(() => health.ready())).toBe('fine')
    await clock.pass(7_000)
    const refused = said(() => health.ready())
    expect(refused).toMatch(/Kafka has not answered for 1\d s/)
    expect(refused).toContain(answer === 'no' ? 'connection refused' : 'no answer within 4 s')
    expect(refused).not.toContain('blob store')
    expect(said(() => health.acceptWork())).toContain('cannot take new work: Kafka')
    expect(said(() => health.live())).toBe('fine')
    expect(health.dependencies()).toMatchObject([
      { name: 'Kafka', up: false },
      { name: 'the blob store', up: true, error: null },
    ])

    kafka.answer = 'yes'
    await clock.pass(6_500)
    expect(said(() => health.ready())).toBe('fine')
    expect(said(() => health.acceptWork())).toBe('fine')
  },
)

test('a process that was held for over five seconds says so until it reacts again', async () => {
  const { clock, health } = start()
  health.started()
  await clock.pass(2_000)
  await clock.block(4_000)
  expect(said(() => health.live())).toBe('fine')
  await clock.pass(1_000)
  await clock.block(8_000)
  expect(said(() => health.live())).toContain('held the process')
  await clock.pass(1_000)
  expect(said(() => health.live())).toBe('fine')
})

test('a process without an API answers the three questions and nothing else', async () => {
  const kafka = new Switch('Kafka')
  const { clock, health } = start(kafka)
  const server = createHealthServer({
    version: '0',
    token: 'secret',
    live: () => health.live(),
    ready: () => health.ready(),
    metrics: async () => 'varve_something 1\n',
  })
  const url = await server.start({ host: '127.0.0.1', port: 0 })
  try {
    health.started()
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    kafka.answer = 'no'
    await clock.pass(15_000)
    const refused = await fetch(`${url}/readyz`)
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await refused.json()).toMatchObject({
      code: 'UNAVAILABLE',
      details: { dependencies: [{ name: 'Kafka', up: false, error: 'connection refused' }] },
    })
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect((await fetch(`${url}/metrics`)).status).toBe(401)
    const headers = { authorization: 'Bearer secret' }
    expect(await (await fetch(`${url}/metrics`, { headers })).text()).toBe('varve_something 1\n')
    const other = await fetch(`${url}/api/v1/projects`, { headers })
    expect(other.status).toBe(404)
    expect(await other.json()).toMatchObject({ detail: expect.stringContaining('no role "api"') })
  } finally {
    await server.close()
  }
})
