import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decide,
  decideAll,
  podCostPerHour,
  upperBound,
} from '../../../src/exec/adapters/kubernetes/scale.ts'
import type {
  Caps,
  Decision,
  Peak,
  PodView,
  PoolState,
  ScaleLimits,
} from '../../../src/exec/adapters/kubernetes/scale.ts'

const PRICES = { cpuHour: 0.04, memoryGiBHour: 0.005, gpuHour: 2 }
const SIZE = { cpu: 1, memoryBytes: 2 ** 30, gpus: 0 }
const COOL_MS = 60_000

function limits(cluster: Caps = {}, projects: Record<string, Caps> = {}): ScaleLimits {
  return { cluster, projects, prices: PRICES, coolDownMs: COOL_MS }
}

function pod(name: string, more: Partial<PodView> = {}): PodView {
  return { name, busy: false, leaving: false, stage: 'ready', createdMs: 0, ...more }
}

function pool(
  more: Partial<PoolState> & { queued?: number; running?: number; caps?: Caps } = {},
): PoolState {
  const { queued = 0, running = 0, caps = {}, ...rest } = more
  return {
    id: 'a',
    project: 'p',
    size: SIZE,
    slots: 1,
    replicas: 0,
    settled: true,
    pods: [],
    work: [{ pipeline: 'count', queued, running, caps }],
    peaks: [],
    ...rest,
  }
}

describe('one pool', () => {
  test('follows queued and running work, several chunks a pod', () => {
    expect(decide(pool({ queued: 3, running: 2 }), limits(), 0).replicas).toBe(5)
    expect(decide(pool({ queued: 3, running: 2, slots: 4 }), limits(), 0).replicas).toBe(2)
  })

  test.each<[string, Partial<Parameters<typeof pool>[0]>, ScaleLimits, number, string, string]>([
    [
      'pipeline',
      { caps: { pods: 3 } },
      limits(),
      3,
      'CapReached',
      'cap of pipeline "count" is 3 pods',
    ],
    [
      'project',
      {},
      limits({}, { p: { cpu: 2.5 } }),
      2,
      'CapReached',
      'cap of project "p" is 2.5 cores',
    ],
    ['cluster', {}, limits({ memoryBytes: 2 ** 32 }), 4, 'CapReached', 'cap of cluster is 4 GiB'],
    [
      'gpu',
      { size: { ...SIZE, gpus: 2 } },
      limits({ gpus: 3 }),
      1,
      'CapReached',
      'cluster is 3 GPUs',
    ],
    [
      'budget',
      {},
      limits({}, { p: { budgetPerHour: 0.1 } }),
      2,
      'BudgetReached',
      'a pod costs 0.045',
    ],
  ])(
    'what would pass the cap of the %s waits and says so',
    (_, more, given, pods, reason, text) => {
      const decision = decide(pool({ queued: 10, ...more }), given, 0)
      expect(decision).toMatchObject({ replicas: pods, cause: { reason } })
      expect(decision.cause?.cause).toContain(`work for 10 pods, ${pods} allowed`)
      expect(decision.cause?.cause).toContain(text)
    },
  )

  test('goes on when the budget is raised', () => {
    const waiting = pool({ queued: 4 })
    expect(decide(waiting, limits({ budgetPerHour: 0 }), 0).replicas).toBe(0)
    expect(decide(waiting, limits({ budgetPerHour: 1 }), 0)).toMatchObject({
      replicas: 4,
      cause: undefined,
    })
  })

  test('after a restart what is there stays for a whole cool-down', () => {
    const found = pool({ replicas: 2, pods: [pod('x'), pod('y')], peaks: undefined })
    const first = decide(found, limits(), 1_000)
    expect(first.replicas).toBe(2)
    const later = decide({ ...found, peaks: first.peaks }, limits(), 1_001 + COOL_MS)
    expect(later).toMatchObject({ replicas: 0, remove: ['x', 'y'] })
  })

  test('idle pods go in the order in which the ReplicaSet takes them: pending, unready, youngest', () => {
    const pods = [
      pod('old', { createdMs: 1 }),
      pod('busy', { busy: true, createdMs: 9 }),
      pod('young', { createdMs: 5 }),
      pod('unready', { stage: 'unready' }),
      pod('pending', { stage: 'pending' }),
    ]
    const removed = (running: number): readonly string[] =>
      decide(pool({ running, replicas: 5, pods }), limits(), 0).remove
    expect([4, 3, 2, 1].map(removed)).toEqual([
      ['pending'],
      ['pending', 'unready'],
      ['pending', 'unready', 'young'],
      ['pending', 'unready', 'young', 'old'],
    ])
  })

  test('an idle pod stays while one that works is not ready: the ReplicaSet would take that one', () => {
    const pods = [pod('busy', { busy: true, stage: 'unready' }), pod('idle')]
    expect(decide(pool({ running: 1, replicas: 2, pods }), limits(), 0)).toMatchObject({
      replicas: 2,
      remove: [],
      cause: { reason: 'ScalingHeld' },
    })
  })

  test('nothing shrinks during a rollout under work', () => {
    const pods = [pod('busy', { busy: true }), pod('idle')]
    const decision = decide(pool({ running: 1, replicas: 2, pods, settled: false }), limits(), 0)
    expect(decision).toMatchObject({ replicas: 2, remove: [], cause: { reason: 'ScalingHeld' } })
  })
})

test('what one pool keeps warm gives way to what waits in another, and only when it is gone', () => {
  const warm = pool({
    id: 'warm',
    replicas: 2,
    pods: [pod('w1'), pod('w2')],
    peaks: [{ atMs: 0, wanted: 2 }],
  })
  const waits = pool({ id: 'waits', queued: 2 })
  const first = decideAll([warm, waits], limits({ pods: 2 }), 1)
  expect(first.get('warm')).toMatchObject({ replicas: 0, remove: ['w1', 'w2'] })
  expect(first.get('waits')).toMatchObject({ replicas: 0, cause: { reason: 'CapReached' } })
  const gone = { ...warm, replicas: 0, pods: [pod('w1', { leaving: true })] }
  expect(decideAll([gone, waits], limits({ pods: 2 }), 2).get('waits')?.replicas).toBe(1)
})

test('the upper bound of a pipeline is the tightest of all caps, with its price', () => {
  const caps = [{ pods: 20 }, { cpu: 8 }, { budgetPerHour: 10 }]
  expect(upperBound(SIZE, caps, PRICES)).toEqual({
    pods: 8,
    costPerHour: 8 * podCostPerHour(SIZE, PRICES),
  })
  expect(upperBound(SIZE, [{}], PRICES).pods).toBe(Infinity)
})

// A cluster in which pods come and go late, in any order of events.
interface Act {
  readonly pool: number
  readonly queued: number
  readonly running: number
  readonly passMs: number
  /** How many of the pods that are due come, and go, in this step. */
  readonly come: number
  readonly go: number
}

const act: fc.Arbitrary<Act> = fc.record({
  pool: fc.nat(2),
  queued: fc.nat(12),
  running: fc.nat(6),
  passMs: fc.nat(40_000),
  come: fc.nat(6),
  go: fc.nat(6),
})
const SIZES = [
  SIZE,
  { cpu: 0.5, memoryBytes: 2 ** 29, gpus: 1 },
  { cpu: 3, memoryBytes: 2 ** 31, gpus: 0 },
]
const CLUSTER: Caps = { pods: 9, cpu: 12, gpus: 3, budgetPerHour: 5 }
const PROJECT: Caps = { pods: 6, memoryBytes: 6 * 2 ** 30 }

class World {
  nowMs = 0
  #made = 0
  readonly pools = SIZES.map((size, n) => ({
    id: `pool${n}`,
    project: n === 2 ? 'q' : 'p',
    size,
    replicas: 0,
    pods: [] as { name: string; busy: boolean; leaving: boolean; createdMs: number }[],
    queued: 0,
    running: 0,
    peaks: [] as readonly Peak[],
  }))
  removedBusy: string[] = []
  last: ReadonlyMap<string, Decision> = new Map()

  step(one: Act): void {
    this.nowMs += one.passMs
    const chosen = this.pools[one.pool] as (typeof this.pools)[number]
    const staying = chosen.pods.filter((each) => !each.leaving)
    chosen.running = Math.min(one.running, staying.length)
    chosen.queued = one.queued
    staying.forEach((each, n) => (each.busy = n < chosen.running))
    for (const each of this.pools) this.#kubelet(each, one.come, one.go)
    this.decide()
  }

  #kubelet(each: (typeof this.pools)[number], come: number, go: number): void {
    let left = go
    each.pods = each.pods.filter((one) => !one.leaving || left-- <= 0)
    for (let n = 0; n < come && each.pods.filter((one) => !one.leaving).length < each.replicas; n++)
      each.pods.push({
        name: `${each.id}-${this.#made++}`,
        busy: false,
        leaving: false,
        createdMs: this.nowMs,
      })
  }

  decide(): void {
    const states = this.pools.map((each) => ({
      ...each,
      slots: 1,
      settled: true,
      pods: each.pods.map((one) => ({ ...one, stage: 'ready' as const })),
      work: [{ pipeline: each.id, queued: each.queued, running: each.running, caps: {} }],
    }))
    this.last = decideAll(states, limits(CLUSTER, { p: PROJECT }), this.nowMs)
    for (const each of this.pools) {
      const decision = this.last.get(each.id) as Decision
      each.peaks = decision.peaks
      each.replicas = decision.replicas
      for (const one of each.pods.filter((other) => decision.remove.includes(other.name))) {
        if (one.busy) this.removedBusy.push(one.name)
        one.leaving = true
      }
    }
  }

  /** What a scope holds: a pod counts from the decision on until it is really gone. */
  held(project: string | undefined, measure: (size: typeof SIZE) => number): number {
    return this.pools
      .filter((each) => project === undefined || each.project === project)
      .reduce(
        (sum, each) =>
          sum +
          measure(each.size) *
            Math.max(
              each.pods.length,
              each.replicas + each.pods.filter((one) => one.leaving).length,
            ),
        0,
      )
  }
}

describe('any history of work, of pods that come and go late', () => {
  const history = fc.array(act, { minLength: 1, maxLength: 60 })

  test('no cap is ever passed, no busy pod is ever taken, and without work nothing is left', () => {
    fc.assert(
      fc.property(history, (acts) => {
        const world = new World()
        for (const one of acts) {
          world.step(one)
          expect(world.held(undefined, () => 1)).toBeLessThanOrEqual(9)
          expect(world.held(undefined, (size) => size.cpu)).toBeLessThanOrEqual(12)
          expect(world.held(undefined, (size) => size.gpus)).toBeLessThanOrEqual(3)
          const cost = world.held(undefined, (size) => podCostPerHour(size, PRICES))
          expect(cost).toBeLessThanOrEqual(5 + 1e-6)
          expect(world.held('p', () => 1)).toBeLessThanOrEqual(6)
          expect(world.held('p', (size) => size.memoryBytes)).toBeLessThanOrEqual(6 * 2 ** 30)
        }
        expect(world.removedBusy).toEqual([])
        for (const each of world.pools)
          world.step({
            pool: world.pools.indexOf(each),
            queued: 0,
            running: 0,
            passMs: 0,
            come: 0,
            go: 9,
          })
        world.step({ pool: 0, queued: 0, running: 0, passMs: COOL_MS + 1, come: 0, go: 9 })
        world.step({ pool: 0, queued: 0, running: 0, passMs: 1, come: 9, go: 9 })
        expect(world.pools.map((each) => [each.replicas, each.pods.length])).toEqual([
          [0, 0],
          [0, 0],
          [0, 0],
        ])
      }),
      { numRuns: 1200 },
    )
  })

  test('more work never means fewer pods of that pool', () => {
    fc.assert(
      fc.property(history, fc.nat(2), fc.integer({ min: 1, max: 5 }), (acts, which, more) => {
        const [one, other] = [new World(), new World()]
        for (const each of acts) {
          one.step(each)
          other.step(each)
        }
        const grown = other.pools[which] as (typeof other.pools)[number]
        grown.queued += more
        one.decide()
        other.decide()
        expect(other.last.get(grown.id)?.replicas).toBeGreaterThanOrEqual(
          one.last.get(grown.id)?.replicas ?? 0,
        )
      }),
      { numRuns: 1200 },
    )
  })
})

test('work in bursts shorter than the cool-down does not make a pool flap', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1_000, max: COOL_MS / 2 }),
      (height, tickMs) => {
        const world = new World()
        const replicas: number[] = []
        for (let n = 0; n < 40; n++) {
          world.step({
            pool: 0,
            queued: n % 2 === 0 ? height : 0,
            running: 0,
            passMs: tickMs,
            come: 9,
            go: 9,
          })
          replicas.push(world.pools[0]?.replicas ?? 0)
        }
        expect(new Set(replicas).size).toBe(1)
      },
    ),
  )
})
