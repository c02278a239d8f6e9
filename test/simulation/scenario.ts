// One history: processes, users, faults for a while, then healing and the check that all drains.

import type { CommitKey } from '../../src/model/entities.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import {
  FEED,
  IN,
  LATE,
  OPEN,
  PIPELINES,
  User,
  follower,
  intruder,
  rebuilder,
  scheduler,
  spout,
} from './actors.ts'
import { Oracle, checkHistory } from './check.ts'
import { SwarmFaults } from './faults.ts'
import type { Faults } from './faults.ts'
import { Ledger } from './ledger.ts'
import { openNode, openWriter } from './node.ts'
import type { Defect, Node } from './node.ts'
import { pipelineSpec, realPipelines } from './pipelines.ts'
import { Durable } from './store.ts'
import { Process, World, never } from './world.ts'

export interface Outcome {
  readonly seed: number
  readonly violations: readonly string[]
  readonly traceHash: string
  readonly events: number
  readonly faults: number
  readonly crashes: number
  readonly trace: readonly string[] | undefined
}

export interface RunOptions {
  readonly defect?: Defect
  readonly trace?: boolean
  /** Instead of the swarm: faults of one's own, the small scenario. */
  readonly faults?: Faults
  readonly small?: boolean
  /** The pipelines room itself; by default some seeds have it. */
  readonly real?: boolean
}

/** Virtual time by which everything must have drained after healing. */
const DRAIN_MS = 240_000

export async function runSeed(seed: number, options: RunOptions = {}): Promise<Outcome> {
  const { defect = {}, small = false } = options
  const world = new World(seed, options.trace ? { trace: true } : {})
  const swarm = options.faults ? undefined : new SwarmFaults(world)
  const faults = options.faults ?? (swarm as SwarmFaults)
  const durable = new Durable(world)
  const ledger = new Ledger()
  const oracle = new Oracle(durable)
  const spoutTotal = small ? 3 : 10
  // The pipelines room itself, or a play of it that is cheaper and sees stranger orders.
  const real = !defect.resultOnlyOnBus && (options.real ?? (!small && world.chance(0.3)))

  const processes: Process[] = []
  const nodes = new Map<string, Node>()
  const add = (name: string, skewMs: number, begin: (node: Node) => Promise<unknown>): void => {
    const process = new Process(world, name, skewMs, (life) => {
      const node = openNode(life, faults, durable, defect)
      nodes.set(name, node)
      begin(node).catch((error: unknown) => {
        world.violate('assertions', `${name} ended: ${(error as Error).stack}`)
      })
    })
    processes.push(process)
  }
  const apiAheadMs = 5_000
  const skew = (): number => (small ? 0 : world.between(-apiAheadMs, apiAheadMs))
  for (const name of ['writer-a', 'writer-b']) {
    // A writer's clock may be wildly wrong, to either side.
    const skewMs = !small && world.chance(0.2) ? world.between(-3_600_000, 3_600_000) : skew()
    processes.push(
      new Process(world, name, skewMs, (life) => {
        openWriter(life, faults, durable, defect).catch((error: unknown) => {
          world.violate('assertions', `${name} ended: ${(error as Error).stack}`)
        })
      }),
    )
  }
  const apiNames = small ? ['api-a'] : ['api-a', 'api-b']
  // Rows are made again, in all histories but some.
  const rebuilds = small || world.chance(0.6)
  for (const name of apiNames)
    add(name, skew(), (node) =>
      Promise.race([follower(node), rebuilds ? rebuilder(node) : never()]),
    )
  if (!small) add('intruder', 0, intruder)
  for (const name of small ? ['spout-a'] : ['spout-a', 'spout-b'])
    add(name, skew(), (node) => spout(node, spoutTotal))
  for (const name of small ? ['scheduler-a'] : ['scheduler-a', 'scheduler-b'])
    add(name, skew(), (node) => (real ? realPipelines(node) : scheduler(node, defect)))

  const apis = (): Node[] => apiNames.flatMap((name) => nodes.get(name) ?? [])
  const users = (): User => new User(world, ledger, apis)
  let working = 1
  const go = (work: Promise<void>): void => {
    working++
    work
      .catch((error: unknown) => world.violate('assertions', `a user: ${(error as Error).stack}`))
      .finally(() => working--)
  }
  for (const process of processes) process.start()
  go(
    (async () => {
      await setUp(users())
      for (let author = 0; author < (small ? 1 : 2); author++)
        go(authors(users(), author, small ? 1 : 2))
      go(openCommits(users, go, small ? 1 : 2))
      if (!small) go(late(users()))
      for (let round = 0; round < (small ? 1 : 3); round++) {
        const pauseMs = world.between(0, 4_000)
        for (let n = 0; n < (small ? 3 : 6); n++) go(oneOfCrowd(users(), round, n, pauseMs))
      }
    })().finally(() => working--),
  )

  if (swarm && world.chance(0.4))
    for (let n = 0; n < 3; n++)
      world.after(world.between(500, 20_000), () => {
        if (!swarm.on) return
        const topic = world.pick(Object.values(TOPICS))
        world.note(`${topic} is wiped`)
        durable.fabric.wipe(topic)
        swarm.landed++
      })
  if (swarm) {
    await world.run(() => false, world.between(5_000, 25_000))
    swarm.on = false
  }
  world.note('healed')
  const until = world.nowMs + DRAIN_MS
  const drained = await world.run(() => working === 0, until)
  let left = drained ? await waiting(oracle, spoutTotal) : `${working} users`
  while (drained && left !== undefined && !world.isSpoilt && world.nowMs < until) {
    await world.run(() => false, world.nowMs + 500)
    left = await waiting(oracle, spoutTotal)
  }
  if (left !== undefined && world.violations.length === 0)
    world.violate('I15', `still waiting: ${left}`)
  if (left === undefined)
    await checkHistory({ world, oracle, ledger, spoutTotal, apiAheadMs, real })
  return {
    seed,
    violations: world.violations,
    traceHash: world.traceHash,
    events: world.eventsRun,
    faults: faults.landed,
    crashes: processes.reduce((sum, process) => sum + process.crashes, 0),
    trace: world.trace,
  }
}

async function waiting(oracle: Oracle, spoutTotal: number): Promise<string | undefined> {
  const stored = await oracle.versions.spout('default', 'sp')
  const position = stored?.positions['p'] ?? '0'
  if (position !== String(spoutTotal)) return `the feed stands at ${position} of ${spoutTotal}`
  return await oracle.waiting()
}

async function setUp(user: User): Promise<void> {
  await user.propose({ op: 'repo.create', name: IN.repo })
  await user.propose({ op: 'spout.put', spout: { name: 'sp', ...FEED, spec: {} } })
  for (const { name, inputs } of PIPELINES)
    await user.propose({
      op: 'pipeline.put',
      pipeline: {
        name,
        inputs,
        outputBranch: 'master',
        backlog: 'every',
        spec: pipelineSpec(name, inputs[0]?.repo ?? ''),
      },
    })
}

/** One-shot commits of different files on one branch; sometimes a request is sent once more. */
async function authors(user: User, author: number, commits: number): Promise<void> {
  for (let n = 0; n < commits; n++) {
    const id = user.newId()
    const path = `a${author}/f${n}`
    await user.commit(IN, path, `content ${author} ${n}`, id)
    await user.pause(3_000)
    if (n === 0) await user.commit(IN, path, `content ${author} ${n}`, id)
  }
}

/**
 * Many commit to one branch at one moment, beside a feed, so that they wait for one another. Some write a
 * file where another makes a directory: one of those two is refused.
 */
async function oneOfCrowd(user: User, round: number, n: number, pauseMs: number): Promise<void> {
  await user.pause(pauseMs, pauseMs)
  const place = n % 3 === 2 ? `${round}-${n - 1}/below` : `${round}-${n}`
  await user.commit(FEED, `crowd/c${place}`, `of the crowd ${round} ${n}`)
}

/** Refused before its repo is there; the same request stays refused afterwards. */
async function late(user: User): Promise<void> {
  const id = user.newId()
  await user.commit(LATE, 'f', 'too early', id)
  await user.propose({ op: 'repo.create', name: LATE.repo })
  await user.pause(1_000)
  await user.commit(LATE, 'f', 'too early', id)
  await user.commit(LATE, 'g', 'in time')
}

/** Two authors put into one open commit while somebody finishes it. */
async function openCommits(
  users: () => User,
  go: (work: Promise<void>) => void,
  authorCount: number,
): Promise<void> {
  const user = users()
  const id = user.newId()
  const refused = await user.propose({ op: 'commit.open', branch: OPEN, note: null }, id)
  if (refused !== undefined) return user.complain(`a commit cannot be opened: ${refused}`)
  const commit: CommitKey = { ...OPEN, id }
  for (let author = 0; author < authorCount; author++) go(stager(users(), commit, author))
  await user.pause(2_000)
  await user.finish(commit)
}

async function stager(user: User, commit: CommitKey, author: number): Promise<void> {
  for (let n = 0; n < 6; n++) {
    if (!(await user.stage(commit, `s${author}/f${n}`, `staged ${author} ${n}`))) return
    await user.pause(300)
  }
}
