// How many pods each pool has: a pure function of the work, the pods, the caps and the time.
// Invariants (test/exec/kubernetes-controller/scale.test.ts holds them as properties):
// - a scope never holds more than its cap, counting pods that are still leaving; where a cap was
//   lowered below what is busy, nothing is added until it fits again;
// - a pod that works is never taken away: only idle ones go, and those that go are named;
// - more work never means fewer pods, no work means none after the cool-down;
// - pods come at once and go only when nothing wanted them for the whole cool-down, so work that
//   comes in bursts does not make a pool flap; but what is kept warm gives way to work that waits;
// - what would pass a cap or a budget waits, and the decision says which.

import type { Hindrance } from './hindrance.ts'

/** What one pod asks for. */
export interface PodSize {
  /** In cores. */
  readonly cpu: number
  readonly memoryBytes: number
  readonly gpus: number
}

/** What an hour costs; the currency is the reader's. */
export interface PriceTable {
  readonly cpuHour: number
  readonly memoryGiBHour: number
  readonly gpuHour: number
}

/** What a scope may hold at once; what is absent is not bounded. */
export interface Caps {
  readonly pods?: number
  readonly cpu?: number
  readonly memoryBytes?: number
  readonly gpus?: number
  /** What all its pods together may cost an hour, by the price table. */
  readonly budgetPerHour?: number
}

export interface PipelineWork {
  readonly pipeline: string
  /** Chunks that wait for a worker. */
  readonly queued: number
  /** Chunks a worker holds. */
  readonly running: number
  readonly caps: Caps
}

export interface PodView {
  readonly name: string
  /** It holds work. */
  readonly busy: boolean
  /** Asked to go already; it still takes its place until it is gone. */
  readonly leaving: boolean
  readonly stage: 'pending' | 'unready' | 'ready'
  readonly createdMs: number
}

/** What a pool wanted at a time of a clock that never jumps; kept for as long as the cool-down. */
export interface Peak {
  readonly atMs: number
  readonly wanted: number
}

export interface PoolState {
  readonly id: string
  readonly project: string
  readonly size: PodSize
  /** Chunks one pod works on at once. */
  readonly slots: number
  /** As the Deployment says now. */
  readonly replicas: number
  /** Asked for a moment ago; nobody knows yet whether it was done, so it counts against the caps. */
  readonly asked?: number
  /** False while pods of an older template are being replaced. */
  readonly settled: boolean
  readonly pods: readonly PodView[]
  readonly work: readonly PipelineWork[]
  /** Of the decision before; undefined at the first, when nobody knows what was wanted. */
  readonly peaks: readonly Peak[] | undefined
}

export interface ScaleLimits {
  readonly cluster: Caps
  readonly projects: Readonly<Record<string, Caps>>
  readonly prices: PriceTable
  readonly coolDownMs: number
}

export interface Decision {
  readonly replicas: number
  /** What the work asks for, caps of pipelines applied, caps of project and cluster not. */
  readonly wanted: number
  /** Pods to go; idle, and the ones the ReplicaSet would take first when they are marked. */
  readonly remove: readonly string[]
  /** Given back at the next decision. */
  readonly peaks: readonly Peak[]
  readonly cause: Hindrance | undefined
}

type Dimension = 'pods' | 'cpu' | 'memoryBytes' | 'gpus' | 'budgetPerHour'
const DIMENSIONS = ['pods', 'cpu', 'memoryBytes', 'gpus', 'budgetPerHour'] as const
type Amount = Readonly<Record<Dimension, number>>
/** Sums of fractions of cores and prices are not exact. */
const EPSILON = 1e-9

interface Reached {
  readonly scope: string
  readonly dimension: Dimension
  readonly cap: number
}

export function podCostPerHour(size: PodSize, prices: PriceTable): number {
  return (
    size.cpu * prices.cpuHour +
    (size.memoryBytes / 2 ** 30) * prices.memoryGiBHour +
    size.gpus * prices.gpuHour
  )
}

/** The most pods these caps allow together, and what they cost; Infinity where nothing bounds them. */
export function upperBound(
  size: PodSize,
  caps: readonly Caps[],
  prices: PriceTable,
): { readonly pods: number; readonly costPerHour: number } {
  const pods = Math.min(...caps.map((one) => fit(one, amountOf(size, prices)).pods))
  return { pods, costPerHour: pods === 0 ? 0 : pods * podCostPerHour(size, prices) }
}

/** One pool alone. */
export function decide(pool: PoolState, limits: ScaleLimits, nowMs: number): Decision {
  return decideAll([pool], limits, nowMs).get(pool.id) as Decision
}

/**
 * All pools together, because they share the caps of project and cluster. A pool that has less is
 * served first, so that a large one cannot starve a small one. The order of `pools` does not matter.
 */
export function decideAll(
  pools: readonly PoolState[],
  limits: ScaleLimits,
  nowMs: number,
): ReadonlyMap<string, Decision> {
  const plans = pools
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((pool) => planOf(pool, limits, nowMs))
  // First what each pool should have; pods that work stay whatever the caps say now.
  const shares = new Ledger(limits)
  for (const plan of plans) shares.put(plan, (plan.share = plan.busy))
  handOut(plans, shares, (plan) => plan.wanted, 'share')
  for (const plan of plans) plan.withheld ??= plan.share < plan.wanted ? plan.blocked : undefined
  handOut(plans, shares, (plan) => plan.kept, 'share')
  // Then what may be added while pods of others still take their place.
  const taken = new Ledger(limits)
  for (const plan of plans) taken.put(plan, placesOf(plan.pool))
  for (const plan of plans) plan.granted = Math.min(plan.share, plan.pool.replicas)
  growInto(plans, taken)
  return new Map(plans.map((plan) => [plan.pool.id, decisionOf(plan)]))
}

interface Plan {
  readonly pool: PoolState
  readonly amount: Amount
  readonly peaks: readonly Peak[]
  readonly busy: number
  readonly wanted: number
  /** Not wanted now, but in the cool-down, and there. */
  readonly kept: number
  share: number
  granted: number
  /** The cap that stopped it at the last try. */
  blocked: Reached | undefined
  /** The cap because of which it has less than it wants. */
  withheld: Reached | undefined
}

function planOf(pool: PoolState, limits: ScaleLimits, nowMs: number): Plan {
  const amount = amountOf(pool.size, limits.prices)
  let withheld: Reached | undefined
  let chunks = 0
  for (const { pipeline, queued, running, caps } of pool.work) {
    const bound = fit(caps, amount)
    const most = bound.pods * pool.slots
    if (queued + running > most && bound.dimension !== undefined)
      withheld ??= {
        scope: `pipeline "${pipeline}"`,
        dimension: bound.dimension,
        cap: caps[bound.dimension] ?? 0,
      }
    chunks += Math.min(queued + running, most)
  }
  const wanted = Math.ceil(chunks / pool.slots)
  // After a restart nobody knows what was wanted: what is there counts as wanted until now.
  const before = pool.peaks ?? [{ atMs: nowMs, wanted: pool.replicas }]
  const peaks = [
    ...before.filter((peak) => peak.atMs > nowMs - limits.coolDownMs && peak.wanted > wanted),
    { atMs: nowMs, wanted },
  ]
  return {
    pool,
    amount,
    peaks,
    busy: pool.pods.filter((pod) => pod.busy && !pod.leaving).length,
    wanted,
    kept: Math.min(peaks[0]?.wanted ?? 0, pool.replicas),
    share: 0,
    granted: 0,
    blocked: undefined,
    withheld,
  }
}

/** Gives one pod after the other to whoever has the fewest, up to `want`, as far as the caps allow. */
function handOut(
  plans: readonly Plan[],
  ledger: Ledger,
  want: (plan: Plan) => number,
  field: 'share' | 'granted',
): void {
  let hungry = plans.filter((plan) => plan[field] < want(plan))
  while (hungry.length > 0) {
    const next = hungry.reduce((a, b) => (b[field] < a[field] ? b : a))
    next.blocked = ledger.reached(next)
    if (next.blocked === undefined) {
      ledger.put(next, 1)
      next[field]++
    }
    if (next.blocked !== undefined || next[field] >= want(next))
      hungry = hungry.filter((plan) => plan !== next)
  }
}

function growInto(plans: readonly Plan[], taken: Ledger): void {
  // A pod that leaves makes way for its own pool's next one only when it is gone, like any other.
  const growing = plans.filter((plan) => plan.share > plan.pool.replicas)
  handOut(growing, taken, (plan) => plan.share, 'granted')
  for (const plan of growing)
    if (plan.granted < plan.share && plan.granted < plan.wanted) plan.withheld ??= plan.blocked
}

function decisionOf(plan: Plan): Decision {
  const { pool, wanted, peaks } = plan
  const staying = pool.pods.filter((pod) => !pod.leaving)
  const steady = { wanted, peaks, remove: [] }
  const waits = withheldCause(plan)
  if (plan.granted >= pool.replicas) return { ...steady, replicas: plan.granted, cause: waits }
  if (!pool.settled && plan.busy > 0)
    return {
      ...steady,
      replicas: pool.replicas,
      cause: waits ?? held('pods of the older template are being replaced'),
    }
  // A ReplicaSet takes pending pods first, then unready ones, and only then looks at our marks: a
  // pod that works but is not ready would go before an idle one that is.
  const first = Math.min(...staying.filter((pod) => pod.busy).map(rankOf), 2)
  const removable = staying
    .filter((pod) => !pod.busy && rankOf(pod) <= first)
    .toSorted(
      (a, b) => rankOf(a) - rankOf(b) || b.createdMs - a.createdMs || (a.name < b.name ? -1 : 1),
    )
  const surplus = Math.max(0, staying.length - plan.granted)
  const remove = removable.slice(0, surplus).map((pod) => pod.name)
  if (remove.length === surplus) return { ...steady, remove, replicas: plan.granted, cause: waits }
  return {
    ...steady,
    remove,
    replicas: Math.min(pool.replicas, staying.length - remove.length),
    cause: waits ?? held('a pod that works is not ready and would be taken first'),
  }
}

/** Places a pool takes: the pods on their way out take theirs besides those that are made. */
function placesOf(pool: PoolState): number {
  const leaving = pool.pods.filter((pod) => pod.leaving).length
  return leaving + Math.max(pool.replicas, pool.asked ?? 0, pool.pods.length - leaving)
}

function rankOf(pod: PodView): number {
  return pod.stage === 'pending' ? 0 : pod.stage === 'unready' ? 1 : 2
}

function held(why: string): Hindrance {
  return {
    reason: 'ScalingHeld',
    cause: `idle pods stay for now: ${why}`,
    remedy: 'nothing to do: they go as soon as that has passed',
  }
}

function withheldCause(plan: Plan): Hindrance | undefined {
  if (plan.withheld === undefined) return undefined
  const { scope, dimension, cap } = plan.withheld
  const asked = plan.pool.work.reduce((sum, one) => sum + one.queued + one.running, 0)
  const pods = `work for ${Math.ceil(asked / plan.pool.slots)} pods, ${plan.granted} allowed`
  if (dimension === 'budgetPerHour')
    return {
      reason: 'BudgetReached',
      cause: `${pods}: the budget of ${scope} is ${cap} per hour, a pod costs ${round(plan.amount.budgetPerHour)}`,
      remedy: `raise the budget of the ${scope}, or wait: the rest runs as pods become free`,
    }
  return {
    reason: 'CapReached',
    cause: `${pods}: the cap of ${scope} is ${amountText(dimension, cap)}`,
    remedy: `raise the cap of the ${scope}, or wait: the rest runs as pods become free`,
  }
}

function amountText(dimension: Dimension, cap: number): string {
  switch (dimension) {
    case 'pods':
      return `${cap} pods`
    case 'cpu':
      return `${cap} cores`
    case 'memoryBytes':
      return `${round(cap / 2 ** 30)} GiB of memory`
    case 'gpus':
      return `${cap} GPUs`
    case 'budgetPerHour':
      return `${cap} per hour`
  }
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000
}

function amountOf(size: PodSize, prices: PriceTable): Amount {
  return { pods: 1, ...size, budgetPerHour: podCostPerHour(size, prices) }
}

/** How many pods of this size these caps hold, and which of them says so. */
function fit(caps: Caps, amount: Amount): { pods: number; dimension: Dimension | undefined } {
  let pods = Number.POSITIVE_INFINITY
  let dimension: Dimension | undefined
  for (const each of DIMENSIONS) {
    const cap = caps[each]
    if (cap === undefined || amount[each] === 0) continue
    const most = Math.max(0, Math.floor(cap / amount[each] + EPSILON))
    if (most < pods) [pods, dimension] = [most, each]
  }
  return { pods, dimension }
}

/** What projects and the cluster hold. */
class Ledger {
  readonly #limits: ScaleLimits
  readonly #used = new Map<string, Record<Dimension, number>>()

  constructor(limits: ScaleLimits) {
    this.#limits = limits
  }

  /** The cap one more pod of this plan would pass. */
  reached(plan: Plan): Reached | undefined {
    for (const { key, scope, caps } of this.#scopes(plan.pool.project)) {
      const used = this.#used.get(key)
      for (const dimension of DIMENSIONS) {
        const cap = caps[dimension]
        if (cap === undefined || plan.amount[dimension] === 0) continue
        if ((used?.[dimension] ?? 0) + plan.amount[dimension] > cap + EPSILON)
          return { scope, dimension, cap }
      }
    }
    return undefined
  }

  put(plan: Plan, pods: number): void {
    for (const { key } of this.#scopes(plan.pool.project)) {
      const used = this.#used.get(key) ?? {
        pods: 0,
        cpu: 0,
        memoryBytes: 0,
        gpus: 0,
        budgetPerHour: 0,
      }
      for (const dimension of DIMENSIONS) used[dimension] += plan.amount[dimension] * pods
      this.#used.set(key, used)
    }
  }

  #scopes(project: string): { key: string; scope: string; caps: Caps }[] {
    return [
      {
        key: `p:${project}`,
        scope: `project "${project}"`,
        caps: this.#limits.projects[project] ?? {},
      },
      { key: 'c', scope: 'cluster', caps: this.#limits.cluster },
    ]
  }
}
