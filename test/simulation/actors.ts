// Who uses the system: users outside it, who ask again with the same id until they have a definite
// answer, and machines inside it (a spout, a scheduler that also records, a worker) that live in
// processes and die with them.

import { fromUtf8, toHex, utf8 } from '../../src/base/bytes.ts'
import { isVarveError } from '../../src/base/errors.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import { encodeEntries, encodeSent } from '../../src/log/wire.ts'
import type { BranchKey, Commit, CommitKey } from '../../src/model/entities.ts'
import { commitKey } from '../../src/model/entities.ts'
import type { Id } from '../../src/model/id.ts'
import { idSource } from '../../src/model/id.ts'
import { DEFAULT_PROJECT as P } from '../../src/model/name.ts'
import type { Op } from '../../src/model/ops.ts'
import type { Path } from '../../src/model/path.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { defineTable } from '../../src/tables/schema.ts'
import { settle } from '../../src/tables/settle.ts'
import type { TreeWriter } from '../../src/objects/objects.ts'
import type { Ledger } from './ledger.ts'
import type { Defect, Node } from './node.ts'
import { collect } from './ports.ts'
import { hash, macOf } from './store.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { World } from './world.ts'

export const PRINCIPAL = 'someone'
export const IN = { repo: 'in', branch: 'master' }
export const FEED = { repo: 'feed', branch: 'master' }
export const OPEN = { repo: 'in', branch: 'open' }
export const LATE = { repo: 'late', branch: 'master' }
export const PIPELINES = [
  { name: 'left', inputs: [IN] },
  { name: 'right', inputs: [IN] },
  {
    name: 'join',
    inputs: [
      { repo: 'left', branch: 'master' },
      { repo: 'right', branch: 'master' },
    ],
  },
]

export function put(path: string, content: string): (writer: TreeWriter) => Promise<void> {
  return async (writer) => {
    await writer.put(path as Path, utf8(content))
  }
}

const fingerprint = (text: string): string => toHex(hash(utf8(text)))

/** A person: not part of the system, does not crash, only ever speaks to the API. */
export class User {
  readonly #world: World
  readonly #ledger: Ledger
  readonly #apis: () => readonly Node[]
  readonly #ids: () => Id

  constructor(world: World, ledger: Ledger, apis: () => readonly Node[]) {
    this.#world = world
    this.#ledger = ledger
    this.#apis = apis
    const random = seededRandom(Math.floor(world.random.next() * 2 ** 32))
    const clock = {
      nowMs: () => world.dayMs,
      monotonicMs: () => world.nowMs,
      sleep: (ms: number) => world.sleep(ms),
    }
    this.#ids = idSource(clock, random)
  }

  newId(): Id {
    return this.#ids()
  }

  /** Of an answer that no sound system gives here. */
  complain(text: string): void {
    this.#world.violate('answers', text)
  }

  pause(mostMs: number, leastMs = 0): Promise<void> {
    return this.#world.sleep(this.#world.between(leastMs, mostMs))
  }

  /** Asks any API until the answer is definite: a value, or the code of the refusal. */
  async ask<T>(
    what: string,
    request: (api: Node) => Promise<T>,
  ): Promise<{ value: T } | { code: string }> {
    const world = this.#world
    world.note(`user asks: ${what}`)
    for (;;) {
      const apis = this.#apis().filter((node) => node.life.isAlive)
      if (apis.length > 0) {
        const timeout = world.sleep(8_000).then(() => 'timeout' as const)
        try {
          const answer = await Promise.race([
            request(world.pick(apis)).then((value) => ({ value })),
            timeout,
          ])
          if (answer !== 'timeout') {
            world.note(`user is answered: ${what}`)
            return answer
          }
        } catch (error) {
          if (!isVarveError(error) || error.code === 'INTERNAL' || error.code === 'CORRUPT') {
            world.violate('assertions', `${what}: ${(error as Error).stack}`)
            return { code: 'INTERNAL' }
          }
          world.note(`user is refused: ${what}: ${error.code}`)
          if (!error.spec.retry) return { code: error.code }
        }
      }
      await world.sleep(world.between(10, 500))
    }
  }

  /** The code of its refusal, if it was refused. */
  async propose(op: Op, id = this.newId()): Promise<string | undefined> {
    const request = { id, principal: PRINCIPAL, deadlineMs: 4_000 }
    const answer = await this.ask(op.op, (api) => api.versions.propose(P, [op], request))
    if (!('code' in answer)) return undefined
    this.#ledger.rejected.set(id, answer.code)
    return answer.code
  }

  /** A one-shot commit of one file, asked for until it is decided; then read back at once. */
  async commit(
    branch: BranchKey,
    path: string,
    content: string,
    id = this.newId(),
  ): Promise<string> {
    const world = this.#world
    const beganMs = world.nowMs
    const request = {
      id,
      principal: PRINCIPAL,
      deadlineMs: 4_000,
      fingerprint: fingerprint(path + content),
    }
    const answer = await this.ask(`commit ${path}`, (api) =>
      api.versions.commitFiles(P, branch, put(path, content), request),
    )
    const before = this.#ledger.rejected.get(id)
    if ('code' in answer) {
      if (before !== undefined && before !== answer.code)
        world.violate('I1', `request ${id} was refused with ${before}, then with ${answer.code}`)
      this.#ledger.rejected.set(id, answer.code)
      this.#ledger.refused.push({ key: { ...branch, id }, path, content })
      return answer.code
    }
    if (before !== undefined)
      world.violate(
        'I1',
        `request ${id} was refused with ${before}, and asked again it was accepted`,
      )
    const key = { repo: branch.repo, branch: branch.branch, id }
    // A repeat is answered with the first decision: it says nothing about when that was made.
    if (!this.#ledger.acked.some((one) => one.key.id === id))
      this.#ledger.acked.push({ key, path, content, beganMs, endedMs: world.nowMs })
    await this.#readBack(key, path, content)
    return 'ok'
  }

  /** Whoever hears of an entry can read it, anywhere. */
  async #readBack(key: CommitKey, path: string, content: string): Promise<void> {
    const read = await this.ask(`read ${path}`, async (api) => {
      const commit = await api.versions.commit(P, key)
      return commit && { commit, bytes: await readFile(api, commit, path) }
    })
    if (!('value' in read) || read.value?.bytes !== content)
      this.#world.violate('I10', `${commitKey(key)} was acknowledged and "${path}" cannot be read`)
  }

  async stage(commit: CommitKey, path: string, content: string): Promise<boolean> {
    const request = { id: this.newId(), principal: PRINCIPAL, deadlineMs: 4_000 }
    const answer = await this.ask(`stage ${path}`, (api) =>
      api.versions.stageFiles(P, commit, put(path, content), request),
    )
    if ('code' in answer) return false
    this.#ledger.staged.push({ commit, path, content })
    return true
  }

  async finish(commit: CommitKey): Promise<void> {
    const id = this.newId()
    const answer = await this.ask('finish', (api) =>
      api.versions.finishCommit(P, commit, { id, principal: PRINCIPAL, deadlineMs: 4_000 }),
    )
    if ('code' in answer)
      this.#world.violate('I5', `finishing ${commitKey(commit)} ended with ${answer.code}`)
  }
}

export async function readFile(
  api: Pick<Node, 'versions'>,
  commit: Commit,
  path: string,
): Promise<string> {
  let text = ''
  for await (const bytes of api.versions.objects.read(commit.root, path as Path))
    text += fromUtf8(bytes)
  return text
}

// ── machines ──

/** Reads records 0 … total−1 and commits each once, beside others who try the same. */
export async function spout(node: Node, total: number): Promise<void> {
  const { versions, life } = node
  const ids = idSource(life.clock, life.random)
  for (;;) {
    try {
      const stored = await versions.spout(P, 'sp')
      const position = stored?.positions['p'] ?? null
      const from = Number(position ?? 0)
      if (from >= total) return
      if (stored) {
        const to = Math.min(total, from + 1 + Math.floor(life.random.next() * 4))
        const write = async (writer: TreeWriter): Promise<void> => {
          for (let n = from; n < to; n++)
            await writer.put(`r/${n}-${ids()}` as Path, utf8(`record ${n}`))
        }
        const feed = {
          spout: 'sp',
          epoch: stored.epoch,
          ranges: { p: { from: position, to: String(to) } },
        }
        await versions.commitFiles(
          P,
          FEED,
          write,
          { id: ids(), principal: 'sp', deadlineMs: 4_000 },
          { feed },
        )
      }
    } catch (error) {
      expected(node, 'spout', error)
    }
    await life.clock.sleep(life.random.next() * 400)
  }
}

/** The row is the result: one for each job. */
export const RESULTS = defineTable({
  name: 'sim_results',
  kind: 'guarded',
  partition: ['job'],
  clustering: [],
  columns: { job: 'text', result: 'text', write_id: 'text' },
})

/** Starts what can start, works (in the row, then rings), and records what is done. */
export async function scheduler(node: Node, defect: Defect): Promise<void> {
  const { versions, life, bus, tables } = node
  const { clock, random } = life
  const ids = idSource(clock, random)
  const heard = new Map<string, string>()
  bus.subscribe(TOPICS.datums, { tail: true }, async (messages) => {
    for (const message of messages) heard.set(message.key, fromUtf8(message.value))
  })
  const attempted = new Set<string>()
  const counts = { total: 1, ran: 1, reused: 0, failed: 0, recovered: 0, codeChanged: 0 }

  const start = async (commit: Commit): Promise<void> => {
    for (const input of commit.provenance)
      if ((await versions.commit(P, input))?.state !== 'finished') return
    const plan = await versions.objects.putBytes(utf8(`plan of ${life.name} ${random.next()}`))
    const op: Op = {
      op: 'job.started',
      commit: keyOf(commit),
      plan,
      chunks: 1,
      codeKey: 'code',
      planned: { run: 1, reuse: 0, total: 1 },
    }
    await versions.propose(P, [op], { id: ids(), principal: 'scheduler', deadlineMs: 4_000 })
  }

  const work = async (pipeline: string, commit: Commit, plan: TreeRef): Promise<void> => {
    const job = commitKey(commit)
    if (attempted.has(job)) return
    const carried = fromUtf8(await versions.objects.getBytes(plan))
    const result = `${job} from ${commit.provenance.map(commitKey).toSorted().join(' ')} by ${carried}`
    // Whoever makes the row has done it; a defect makes it a claim without the result.
    const made = await settle(
      tables,
      RESULTS,
      {
        partition: { job },
        expect: { key: { job }, is: 'absent' },
        put: [defect.resultOnlyOnBus ? { job } : { job, result }],
        writeId: toHex(random.bytes(8)),
      },
      life,
    )
    attempted.add(job)
    if (made.kind === 'refused') return
    await bus.publish(TOPICS.datums, [
      { partition: 0, key: job, headers: { pipeline }, value: utf8(result) },
    ])
  }

  const record = async (commit: Commit, plan: TreeRef): Promise<void> => {
    const job = commitKey(commit)
    const row = await tables.get(RESULTS, { job }, { serial: true })
    const result = row?.result ?? heard.get(job)
    if (result === undefined) return
    const writer = versions.objects.writer(null)
    await writer.put('result' as Path, utf8(result))
    const { root, stats } = await writer.finishOnto(null)
    const op: Op = {
      op: 'job.finished',
      commit: keyOf(commit),
      plan,
      state: 'finished',
      root,
      stats,
      datumTree: null,
      ownerTree: null,
      counts,
      cause: null,
    }
    await versions.propose(P, [op], { id: ids(), principal: 'scheduler', deadlineMs: 4_000 })
  }

  for (;;) {
    for (const { name } of PIPELINES)
      try {
        const commits = await collect(versions.commits(P, name, { limit: 40 }))
        const next = commits.findLast(
          (commit) => commit.state === 'queued' || commit.state === 'running',
        )
        if (!next) continue
        if (next.state === 'queued') await start(next)
        const job = await versions.job(P, name, next.id)
        if (job?.state !== 'running') continue
        await work(name, next, job.plan)
        await record(next, job.plan)
      } catch (error) {
        expected(node, 'scheduler', error)
      }
    await clock.sleep(200 + random.next() * 800)
  }
}

const keyOf = ({ repo, branch, id }: CommitKey): CommitKey => ({ repo, branch, id })

/** Machines meet refusals and lost ports; anything else is a broken belief. */
function expected(node: Node, who: string, error: unknown): void {
  if (isVarveError(error) && error.code !== 'INTERNAL' && error.code !== 'CORRUPT') return
  node.life.world.violate('assertions', `${who}: ${(error as Error).stack}`)
}

/** In one life of a process. */
const REBUILDS = 2

/** Makes the rows of the project again while all goes on; sometimes it only compares them. */
export async function rebuilder(node: Node): Promise<void> {
  const { versions, life } = node
  const ids = idSource(life.clock, life.random)
  const never = new AbortController().signal
  for (let n = 0; n < REBUILDS; n++) {
    await life.clock.sleep(life.random.next() * 8_000)
    const request = { id: ids(), principal: 'rebuilder' }
    const check = life.random.next() < 0.2
    life.world.note(`${life.name} rebuilds`)
    try {
      for await (const { differing, examples } of versions.rebuild(P, request, check, never))
        if (differing > 0) life.world.violate('I4', `a check finds a difference: ${examples[0]}`)
      life.world.note(`${life.name} has rebuilt`)
    } catch (error) {
      expected(node, 'rebuilder', error)
    }
  }
}

export const INTRUDER = 'intruder'

/** Somebody who reaches the bus and has another secret, or none. */
export async function intruder(node: Node): Promise<void> {
  const { life, bus } = node
  const { random, clock } = life
  const ids = idSource(clock, random)
  for (let n = 0; ; n++) {
    await clock.sleep(random.next() * 1_500)
    const mac = random.next() < 0.5 ? macOf('another secret') : undefined
    const issuedAtMs = Math.floor(clock.nowMs())
    const author = { id: ids(), principal: INTRUDER, cause: null, fingerprint: 'f' }
    const ops: Op[] = [{ op: 'repo.create', name: `forged-${n}` }]
    const proposal = { ...author, project: P, ops, issuedAtMs, machine: false }
    const after = await node.versions.watermark(P).catch(() => 0)
    const entry = { ...author, seq: after + 1, atMs: issuedAtMs, decision: { yes: [] } }
    await bus
      .publish(TOPICS.proposals, [encodeSent({ kind: 'propose', proposal }, mac)])
      .catch(() => undefined)
    await bus
      .publish(TOPICS.log, [encodeEntries(P, [entry], undefined, mac)])
      .catch(() => undefined)
  }
}

/** Follows the log and reads at once what it hears of. */
export async function follower(node: Node): Promise<void> {
  const { versions, life } = node
  const { world } = life
  let last = 0
  const signal = new AbortController().signal
  for await (const entry of versions.follow(P, 0, signal)) {
    if (entry.seq !== last + 1)
      world.violate('I2', `${life.name} follows ${last} with ${entry.seq}`)
    last = entry.seq
    if (entry.principal === INTRUDER)
      world.violate('I14', `${life.name} believes a forged entry ${entry.seq}`)
    if (world.chance(0.3)) {
      const seq = await versions.watermark(P).catch(() => undefined)
      if (seq !== undefined && seq < last)
        world.violate('I13', `${life.name} heard of ${last} and may read through ${seq}`)
    }
    if (!('yes' in entry.decision) || !world.chance(0.5)) continue
    for (const fact of entry.decision.yes) {
      if (!('commit' in fact)) continue
      // Where a port fails it looks no further: it is not about this.
      const found = await versions.commit(P, fact.commit).catch(() => 'unknown' as const)
      if (found === undefined)
        world.violate(
          'I13',
          `${life.name} heard of entry ${entry.seq} and cannot read ${commitKey(fact.commit)}`,
        )
      else if (found !== 'unknown' && fact.f === 'commit.finished' && found.root === null)
        world.violate(
          'I10',
          `${life.name} heard that ${commitKey(fact.commit)} finished and reads ${found.state}`,
        )
    }
  }
}
