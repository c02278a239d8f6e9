// Histories of collection beside writers: few contents, so that the same bytes are written, thrown away
// and written again; writers that pause in the middle; two collectors that know nothing of one another;
// and every fault of the ports, late deletes among them.
//
// Checkers: I11, nothing reachable is missing, and what users were told is safe can be read; `kept`, after
// two quiet rounds nothing is stored that nobody names.

import { utf8 } from '../../src/base/bytes.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { idSource } from '../../src/model/id.ts'
import { commitKey } from '../../src/model/entities.ts'
import type { CommitKey } from '../../src/model/entities.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import type { Path } from '../../src/model/path.ts'
import { refLocation } from '../../src/model/tree-ref.ts'
import { EverybodysRoots } from '../../src/main/collection.ts'
import { collect } from '../../src/objects/upkeep/collect.ts'
import { CONDEMNED, STORE } from '../../src/objects/upkeep/condemned.ts'
import { ObjectEngine } from '../../src/objects/engine.ts'
import type { Root } from '../../src/objects/upkeep/mark.ts'
import { Marker } from '../../src/objects/upkeep/mark.ts'
import { PackListing } from '../../src/objects/packs/pack-listing.ts'
import type { TreeWriter } from '../../src/objects/objects.ts'
import { LogStore } from '../../src/pipelines/logs.ts'
import type { LogKey } from '../../src/pipelines/logs.ts'
import { PIPELINES, PRINCIPAL, User, readFile } from './actors.ts'
import { Oracle } from './check.ts'
import { SwarmFaults } from './faults.ts'
import { Ledger } from './ledger.ts'
import { openNode, openWriter } from './node.ts'
import type { Defect, Node } from './node.ts'
import { pipelineSpec, realPipelines } from './pipelines.ts'
import { collect as all } from './ports.ts'
import { Durable, hash, storeKey } from './store.ts'
import { checkPurged, nothingPurged, purger } from './purging.ts'
import type { Purged } from './purging.ts'
import { Process, World } from './world.ts'

const DRAIN_MS = 240_000
const AUTHORS = 3
const COMMITS = 7
const KEEP = 'in'

export interface Collected {
  readonly seed: number
  readonly violations: readonly string[]
  readonly traceHash: string
  readonly faults: number
  readonly crashes: number
  /** Rounds that came to their end while others wrote, and packs they deleted. */
  readonly rounds: number
  readonly deleted: number
  readonly repacked: number
  readonly purged: number
  readonly trace: readonly string[] | undefined
}

interface Promised {
  readonly key: CommitKey
  readonly files: Map<string, string>
}

export async function runCollecting(
  seed: number,
  options: { readonly defect?: Defect; readonly trace?: boolean } = {},
): Promise<Collected> {
  const { defect = {} } = options
  const world = new World(seed, options.trace ? { trace: true } : {})
  const swarm = new SwarmFaults(world)
  const durable = new Durable(world)
  const processes: Process[] = []
  const nodes = new Map<string, Node>()
  const add = (name: string, begin: (node: Node) => Promise<unknown>): Process => {
    const process = new Process(world, name, 0, (life) => {
      const node = openNode(life, swarm, durable, defect)
      nodes.set(name, node)
      begin(node).catch((error: unknown) => {
        world.violate('assertions', `${name} ended: ${(error as Error).stack}`)
      })
    })
    processes.push(process)
    return process
  }
  for (const name of ['writer-a', 'writer-b'])
    processes.push(
      new Process(world, name, 0, (life) => {
        openWriter(life, swarm, durable, defect).catch((error: unknown) => {
          world.violate('assertions', `${name} ended: ${(error as Error).stack}`)
        })
      }),
    )
  for (const name of ['api-a', 'api-b']) add(name, () => Promise.resolve())
  const withPipeline = world.chance(0.4)
  if (withPipeline) add('scheduler-a', (node) => realPipelines(node, 4_000))
  const counts = { rounds: 0, deleted: 0, repacked: 0 }
  let quiet = false
  for (const name of ['collector-a', 'collector-b'])
    add(name, async (node) => {
      while (!quiet) {
        await node.life.clock.sleep(world.between(200, 4_000))
        if (!quiet) await round(node, defect, counts)
      }
    })

  const ledger = new Ledger()
  const promised: Promised[] = []
  const said: Said[] = []
  const purged = nothingPurged()
  let working = 0
  const go = (work: Promise<void>): void => {
    working++
    work
      .catch((error: unknown) => world.violate('assertions', `a user: ${(error as Error).stack}`))
      .finally(() => working--)
  }
  const apis = (): Node[] => ['api-a', 'api-b'].flatMap((name) => nodes.get(name) ?? [])
  for (const process of processes) process.start()
  go(
    (async () => {
      const user = new User(world, ledger, apis)
      await user.propose({ op: 'repo.create', name: KEEP })
      if (withPipeline) {
        const inputs = [{ repo: KEEP, branch: 'b0' }]
        const spec = {
          ...pipelineSpec('left', KEEP),
          input: { pfs: { name: KEEP, repo: KEEP, branch: 'b0', glob: '/**' } },
        }
        await user.propose({
          op: 'pipeline.put',
          pipeline: { name: 'left', inputs, outputBranch: 'master', backlog: 'every', spec },
        })
      }
      if (withPipeline) go(speaker(world, new User(world, ledger, apis), said))
      if (world.chance(0.5))
        go(
          purger(world, new User(world, ledger, apis), purged, () =>
            content(Math.floor(world.between(0, 5))),
          ),
        )
      for (let n = 0; n < AUTHORS; n++)
        go(author(world, new User(world, ledger, apis), n, promised))
    })(),
  )
  await world.run(() => false, world.between(8_000, 25_000))
  swarm.on = false
  world.note('healed')
  const until = world.nowMs + DRAIN_MS
  const oracle = new Oracle(durable)
  const drained = await world.run(() => working === 0, until)
  let left = drained ? await waiting(oracle, withPipeline) : `${working} users`
  while (drained && left !== undefined && !world.isSpoilt && world.nowMs < until) {
    await world.run(() => false, world.nowMs + 500)
    left = await waiting(oracle, withPipeline)
  }
  if (left !== undefined && world.violations.length === 0)
    world.violate('I15', `still waiting: ${left}`)
  if (left === undefined) {
    quiet = true
    await checkReachable(world, durable, oracle, purged)
    // What was asked for late is carried out by now; two rounds are left to themselves.
    await world.run(() => false, world.nowMs + 20_000)
    let last = 0
    const process = add('collector-last', async (node) => {
      for (; last < 2; last++) await round(node, defect, { rounds: 0, deleted: 0, repacked: 0 })
    })
    process.start()
    await world.run(() => last === 2, world.nowMs + DRAIN_MS)
    if (last < 2) world.violate('I15', 'a quiet collection does not end')
    await checkReachable(world, durable, oracle, purged)
    await checkPromised(world, oracle, promised)
    await checkSaid(world, durable, oracle, said)
    await checkPurged(world, durable, oracle, purged)
    await checkKept(world, durable, oracle)
  }
  return {
    seed,
    violations: world.violations,
    traceHash: world.traceHash,
    faults: swarm.landed,
    crashes: processes.reduce((sum, process) => sum + process.crashes, 0),
    ...counts,
    purged: purged.ended,
    trace: world.trace,
  }
}

async function waiting(oracle: Oracle, withPipeline: boolean): Promise<string | undefined> {
  const named = await oracle.waiting()
  return withPipeline || !named?.startsWith('left') ? named : undefined
}

/** One round, from wherever others left theirs. */
async function round(
  node: Node,
  defect: Defect,
  counts: { rounds: number; deleted: number; repacked: number },
): Promise<void> {
  const { versions, tables, blob, objects, life } = node
  const { clock, random } = life
  const keeping = new EverybodysRoots({
    versions,
    tables,
    blob,
    clock,
    random,
    ids: idSource(clock, random),
  })
  const guests = { store: objects.store, blob, tables, clock, random }
  // Packs are small here: nearly all of which a part is used are carried over.
  const limits = { markBytes: 1 << 20, blockBytes: 32, winsBytes: 1 }
  const given = { ...guests, limits, keeping: defect.keeping?.(keeping) ?? keeping }
  try {
    const signal = new AbortController().signal
    const waitMs = life.world.pick([0, 0, 300])
    for await (const step of collect(given, { waitMs, signal })) {
      life.world.note(`${life.name} collects: ${step.phase} ${step.unused} ${step.deleted}`)
      if (step.phase !== 'done') continue
      counts.rounds++
      counts.deleted += step.deleted
      counts.repacked += step.repacked
    }
  } catch (error) {
    life.world.note(`${life.name} gives up: ${(error as Error).message}`)
    if (isVarveError(error, 'STALE_STATE') || isVarveError(error, 'UNAVAILABLE')) return
    // Somebody who was taken over from may meet what the other deletes.
    if (isVarveError(error, 'CORRUPT')) return
    life.world.violate('assertions', `${life.name}: ${(error as Error).stack}`)
  }
}

/** Large enough to be chunks of their own, and some to have frames of their own. */
function content(n: number): string {
  return `content ${n} `.repeat(n % 3 === 0 ? 3_500 : 80)
}

async function author(world: World, user: User, name: number, promised: Promised[]): Promise<void> {
  const branch = { repo: KEEP, branch: `b${name}` }
  const mine: Promised[] = []
  for (let n = 0; n < COMMITS; n++) {
    const draw = world.random.next()
    if (draw < 0.5) {
      // Sometimes many at one moment, which wait for one another.
      const crowd = Array.from({ length: world.chance(0.3) ? 5 : 1 })
      const pauses = crowd.length === 1 ? PAUSES : 0
      const commits = crowd.map(() => commit(world, user, branch, pauses))
      for (const made of await Promise.all(commits)) {
        if (made) mine.push(made)
        if (made) promised.push(made)
      }
    } else if (draw < 0.7) {
      const repo = `tmp${name}-${n}`
      await user.propose({ op: 'repo.create', name: repo })
      await commit(world, user, { repo, branch: 'master' })
      await user.propose({ op: 'repo.delete', name: repo, force: true })
    } else if (draw < 0.78) {
      const made = await uploaded(world, user, { repo: KEEP, branch: `u${name}` })
      if (made) promised.push(made)
    } else if (draw < 0.86 && mine.length > 1) {
      const old = mine.shift() as Promised
      promised.splice(promised.indexOf(old), 1)
      await user.propose({ op: 'commit.drop', commits: [old.key] })
    } else {
      const made = await opened(world, user, { repo: KEEP, branch: `o${name}` })
      if (made) promised.push(made)
    }
    await user.pause(1_500)
  }
}

/** How often an author is stopped after a file. */
const PAUSES = 0.3

function putting(world: World, files: Map<string, string>, pauses = PAUSES) {
  return async (writer: TreeWriter): Promise<void> => {
    for (const [path, text] of files) {
      await writer.put(path as Path, utf8(text))
      // Somebody who was stopped in the middle.
      if (world.chance(pauses)) await world.sleep(world.between(0, 5_000))
    }
  }
}

function draft(world: World): Map<string, string> {
  const files = new Map<string, string>()
  const some = 1 + Math.floor(world.between(0, 2))
  for (let n = 0; n < some; n++)
    files.set(`f${Math.floor(world.between(0, 4))}`, content(Math.floor(world.between(0, 5))))
  return files
}

async function commit(
  world: World,
  user: User,
  branch: { readonly repo: string; readonly branch: string },
  pauses = PAUSES,
): Promise<Promised | undefined> {
  const id = user.newId()
  const files = draft(world)
  const request = { id, principal: PRINCIPAL, deadlineMs: 6_000 }
  const note = world.chance(0.3)
  const answer = await user.ask(
    `commit ${branch.branch} ${[...files.keys()].join(' ')}`,
    async (api) => {
      const { objects } = api.versions
      const said = note ? await objects.putBytes(utf8(content(9))) : null
      return await api.versions.commitFiles(P, branch, putting(world, files, pauses), request, {
        note: said,
      })
    },
  )
  return 'value' in answer ? { key: { ...branch, id }, files } : undefined
}

async function opened(
  world: World,
  user: User,
  branch: { readonly repo: string; readonly branch: string },
): Promise<Promised | undefined> {
  const id = user.newId()
  if (await user.propose({ op: 'commit.open', branch, note: null }, id)) return undefined
  const key = { ...branch, id }
  const files = new Map<string, string>()
  for (let n = 0; n < 2; n++) {
    const some = draft(world)
    const request = { id: user.newId(), principal: PRINCIPAL, deadlineMs: 6_000 }
    const answer = await user.ask('stage', (api) =>
      api.versions.stageFiles(P, key, putting(world, some), request),
    )
    if ('value' in answer) for (const [path, text] of some) files.set(path, text)
    await user.pause(2_000)
  }
  const request = { id: user.newId(), principal: PRINCIPAL, deadlineMs: 6_000 }
  if (world.chance(0.3)) {
    await user.ask('abandon', (api) => api.versions.abandonCommit(P, key, request))
    return undefined
  }
  const answer = await user.ask('finish', (api) => api.versions.finishCommit(P, key, request))
  return 'value' in answer ? { key, files } : undefined
}

/** In parts, with time between them. */
async function uploaded(
  world: World,
  user: User,
  branch: { readonly repo: string; readonly branch: string },
): Promise<Promised | undefined> {
  const id = user.newId()
  const open = { id, principal: PRINCIPAL }
  const about = { source: 'a folder', message: '' }
  const opened = await user.ask('upload', (api) =>
    api.versions.uploads.open(P, branch, about, open),
  )
  if ('code' in opened) return undefined
  const files = new Map<string, string>()
  for (let part = 0; part < 2; part++) {
    const some = draft(world)
    const said = {
      kind: 'batch' as const,
      path: '',
      offset: 0,
      totalBytes: 0,
      files: some.size,
      sizeBytes: 0,
      sha256: [...some].join(' '),
      mark: '',
    }
    const work = {
      write: async (writer: TreeWriter) => {
        await putting(world, some)(writer)
        return said
      },
      read: () => Promise.resolve(said),
    }
    const added = await user.ask('part', (api) =>
      api.versions.uploads.add(P, branch, id, part, work),
    )
    if ('code' in added) user.complain(`part ${part} of an upload is refused: ${added.code}`)
    for (const [path, text] of some) files.set(path, text)
    await user.pause(2_000)
  }
  const request = { id: user.newId(), principal: PRINCIPAL }
  const made = await user.ask('finish upload', (api) =>
    api.versions.uploads.finish(P, branch, id, 2, request),
  )
  if ('code' in made) {
    user.complain(`an upload cannot be finished: ${made.code}`)
    return undefined
  }
  return { key: { ...branch, id: made.value.commit }, files }
}

interface Said {
  readonly key: LogKey
  readonly text: string
}

/** Lines of user code that were said to be stored. */
async function speaker(world: World, user: User, said: Said[]): Promise<void> {
  for (let n = 0; n < 12; n++) {
    await user.pause(2_500)
    const answer = await user.ask('log lines', async (api) => {
      const [job] = await all(api.versions.jobs(P, 'left', { limit: 1 }))
      if (!job) return undefined
      const { clock, random } = api.life
      const key = { project: P, pipeline: 'left', job: job.commit.id }
      const logs = new LogStore({ ...api, objects: api.versions.objects, clock, random })
      const line = { atMs: n, job: key.job, datum: '', attempt: 1, stream: 'stdout' as const }
      const text = `line ${n}`
      await logs.append(key, [{ ...line, text }])
      await logs.flush(key)
      return { key, text }
    })
    if ('value' in answer && answer.value) said.push(answer.value)
  }
}

async function checkSaid(
  world: World,
  durable: Durable,
  oracle: Oracle,
  said: readonly Said[],
): Promise<void> {
  const { tables } = durable
  const logs = new LogStore({ ...oracle.guests, tables, objects: oracle.versions.objects })
  for (const { key, text } of said) {
    const row = await oracle.versions.commit(P, { repo: 'left', branch: 'master', id: key.job })
    if (row?.dropped) continue
    try {
      const lines = await all(logs.read(key))
      if (!lines.some((line) => line.text === text))
        world.violate('I11', `"${text}" of job ${key.job} is lost`)
    } catch (error) {
      world.violate('I11', `lines of job ${key.job} cannot be read: ${(error as Error).message}`)
    }
  }
}

/** Everything that is named is there, node by node and pack by pack. */
async function checkReachable(
  world: World,
  durable: Durable,
  oracle: Oracle,
  { packs }: Purged,
): Promise<void> {
  const { marked, listing } = await markAll(durable, oracle)
  if (marked !== undefined) return world.violate('I11', `a root cannot be walked: ${marked}`)
  // Those of purged nodes are looked at by reading (checkPurged).
  const missing = [...listing.missing].filter((pack) => !packs.has(pack))
  if (missing.length > 0) world.violate('I11', `packs in use are missing: ${missing.join(' ')}`)
}

/** Without what its author may have died before writing. */
async function* surely(roots: AsyncIterable<Root>): AsyncGenerator<Root> {
  for await (const root of roots) if (!root.announced) yield root
}

async function markAll(durable: Durable, oracle: Oracle) {
  const { tables, blob } = durable
  const objects = new ObjectEngine({ blob, tables, hash, storeKey, random: oracle.random })
  const keeping = new EverybodysRoots({ ...oracle.guests, versions: oracle.versions, tables, blob })
  const list = await PackListing.read(blob)
  const missing = new Set<string>()
  const listing = {
    missing,
    list,
    numberOf: (pack: string): number => {
      const n = list.numberOf(pack)
      if (n >= list.count) missing.add(pack)
      return n
    },
    has: (pack: string): boolean => list.has(pack),
    use: (n: number, offset: number, length: number): void => list.use(n, offset, length),
  }
  const marker = new Marker(objects.store, listing)
  try {
    await marker.mark(surely(keeping.roots()))
    for (const pack of missing) if (await objects.store.forwards.of(pack)) missing.delete(pack)
  } catch (error) {
    return { listing, marked: (error as Error).message }
  }
  return { listing, marked: undefined }
}

async function checkPromised(
  world: World,
  oracle: Oracle,
  promised: readonly Promised[],
): Promise<void> {
  for (const { key, files } of promised) {
    const row = await oracle.versions.commit(P, key)
    for (const [path, text] of files)
      try {
        if (!row || (await readFile(oracle, row, path)) !== text)
          world.violate('I11', `${commitKey(key)} does not hold what was put at "${path}"`)
      } catch (error) {
        world.violate('I11', `${commitKey(key)} cannot be read: ${(error as Error).message}`)
      }
  }
  // Of the pipeline, all that was put out.
  for (const { name } of PIPELINES)
    for (const row of await all(oracle.versions.commits(P, name))) {
      if (row.state !== 'finished' || row.dropped) continue
      for (const file of await all(oracle.versions.objects.walk(row.root)))
        try {
          await all(oracle.versions.objects.readEntry(file))
        } catch (error) {
          world.violate('I11', `${commitKey(row)} cannot be read: ${(error as Error).message}`)
        }
    }
}

async function checkKept(world: World, durable: Durable, oracle: Oracle): Promise<void> {
  const { list } = (await markAll(durable, oracle)).listing
  // What was only announced, and is there all the same, is kept as well.
  for await (const { announced, ref } of new EverybodysRoots({
    ...oracle.guests,
    ...durable,
    versions: oracle.versions,
  }).roots())
    if (announced) {
      const { pack, offset, length } = refLocation(ref)
      list.use(list.numberOf(pack), offset, length)
    }
  for (let n = 0; n < list.count; n++)
    if (!list.isUsed(n)) world.violate('kept', `nobody names pack ${list.name(n)}`)
  for (const { pack } of await all(durable.tables.scan(CONDEMNED, STORE)))
    world.violate('kept', `pack ${pack} is condemned for ever`)
}
