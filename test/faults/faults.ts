// What is done to a running system, and when. Every fault strikes one thing, holds for a while and is
// healed; a seed decides the order, the times, and which of them meet.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/base/random.ts'
import { withAdmin } from '../services/kafkajs.ts'
import type { TcpProxy } from '../services/proxy.ts'
import type { RoleProcess } from '../cluster/role-process.ts'
import type { Journal } from './journal.ts'

export interface Fault {
  /** `kill`, `stop`, `drop replies`, … */
  readonly name: string
  readonly target: string
  readonly holdMs: Span
  /** False: there was nothing to hit, and there is nothing to heal. */
  strike(): Promise<boolean>
  heal(): Promise<void>
}

interface Span {
  readonly from: number
  readonly to: number
}

/** A server of the tests, one node of it. */
export interface Node {
  readonly name: string
  kill(): Promise<void>
  restart(): Promise<void>
  pause(): void
  resume(): void
}

/** kill -9, and started again after a moment, as its keeper would. */
export function killOf(one: RoleProcess): Fault {
  return {
    name: 'kill',
    target: one.name,
    holdMs: { from: 0, to: 3_000 },
    strike: () => one.kill(),
    heal: () => Promise.resolve(one.start()),
  }
}

/** SIGSTOP, SIGCONT: it wakes up and believes that nothing happened. */
export function stopOf(one: RoleProcess, holdMs: Span = { from: 1_000, to: 15_000 }): Fault {
  return {
    name: 'stop',
    target: one.name,
    holdMs,
    strike: () => Promise.resolve(one.stop()),
    heal: () => Promise.resolve(one.resume()),
  }
}

/** SIGTERM: it may finish what it has in hand, which must take nothing from anybody. */
export function drainOf(one: RoleProcess): Fault {
  return {
    name: 'drain',
    target: one.name,
    holdMs: { from: 0, to: 1_000 },
    strike: async () => {
      if (!one.alive || one.stopped) return false
      await one.drain()
      return true
    },
    heal: () => Promise.resolve(one.start()),
  }
}

export function nodeKill(node: Node): Fault {
  return {
    name: 'kill',
    target: node.name,
    holdMs: { from: 500, to: 5_000 },
    strike: async () => {
      await node.kill()
      return true
    },
    heal: () => node.restart(),
  }
}

export function nodePause(node: Node): Fault {
  return {
    name: 'pause',
    target: node.name,
    holdMs: { from: 1_000, to: 10_000 },
    strike: () => {
      node.pause()
      return Promise.resolve(true)
    },
    heal: () => Promise.resolve(node.resume()),
  }
}

/** Requests are carried out and their answers are lost, on all connections, for as long as it holds. */
export function dropReplies(proxy: TcpProxy, target: string): Fault {
  return {
    name: 'drop replies',
    target,
    holdMs: { from: 300, to: 4_000 },
    strike: async () => {
      const before = proxy.counts.droppedReplies
      proxy.dropReplies({ forMs: 60_000 })
      // It landed when an answer was lost.
      for (let n = 0; n < 100 && proxy.counts.droppedReplies === before; n++) await sleep(20)
      return proxy.counts.droppedReplies > before
    },
    heal: () => proxy.heal(),
  }
}

/** A topic of our own is deleted with all that is in it; the product makes it anew. */
export function deleteTopic(brokers: string, topic: string): Fault {
  return {
    name: 'delete topic',
    target: topic,
    holdMs: { from: 0, to: 1_000 },
    strike: async () => {
      try {
        await withAdmin(brokers, (admin) => admin.deleteTopics({ topics: [topic] }))
        return true
      } catch (error) {
        // Not there yet again after the last time, or the broker is away.
        if (error instanceof Error) return false
        throw error
      }
    },
    heal: () => Promise.resolve(),
  }
}

/** `Kafka` of `Kafka-2`, `Cassandra` of `Cassandra-1 replies`; both APIs may be away at once. */
const kindOf = ({ target }: Fault): string => target.replace(/^(Kafka|Cassandra).*$/, '$1')

/** Each of them once, then again in another order, until there are `count`. */
export function* sequence(
  faults: readonly Fault[],
  count: number,
  random: Random,
): Generator<Fault> {
  let bag: Fault[] = []
  for (let n = 0; n < count; n++) {
    if (bag.length === 0) bag = [...faults]
    yield bag.splice(Math.floor(random.next() * bag.length), 1)[0] as Fault
  }
}

export interface Strikes {
  readonly faults: readonly Fault[]
  /** That landed. */
  readonly count: number
  readonly random: Random
  readonly journal: Journal
  /** Between one that is healed and the next, after work went on. */
  readonly restMs: Span
  readonly say: (text: string) => void
}

/** Commits that say that work goes on. */
const PROGRESS = 4
const PROGRESS_MS = 120_000

export interface Struck {
  readonly landed: number
  /** The longest time from a healing until work went on. */
  readonly slowestMs: number
  readonly wrong: readonly string[]
}

/**
 * Strikes until enough have landed; everything is healed on return. One in four waits for the next
 * one before it is healed, so that two things are away at once. The next one comes when commits are
 * acknowledged again, so that each meets a system at work.
 */
export async function strikeAll(options: Strikes): Promise<Struck> {
  const { faults, count, random, journal, restMs, say } = options
  const beganMs = performance.now()
  const draw = ({ from, to }: Span): number => Math.round(from + random.next() * (to - from))
  let landed = 0
  let slowestMs = 0
  const wrong: string[] = []
  let held: { fault: Fault; healed: Promise<void> } | undefined
  const strike = async (fault: Fault): Promise<void> => {
    const atMs = Math.round(performance.now() - beganMs)
    const heldMs = draw(fault.holdMs)
    const hit = await fault.strike()
    say(
      `${(atMs / 1000).toFixed(1)} s: ${fault.name} ${fault.target}${hit ? ` for ${heldMs} ms` : ': nothing there'}`,
    )
    await journal.append({
      kind: 'struck',
      fault: fault.name,
      target: fault.target,
      landed: hit,
      atMs,
      heldMs,
    })
    if (!hit) return
    landed++
    await sleep(heldMs)
    await fault.heal()
  }
  for (const fault of sequence(faults, Infinity, random)) {
    if (landed >= count) break
    // Never two nodes of one server: of three two must go on.
    if (held && kindOf(held.fault) === kindOf(fault)) {
      await held.healed
      held = undefined
    }
    const healed = strike(fault)
    healed.catch(() => {}) // awaited below
    if (!held && random.next() < 0.25) {
      held = { fault, healed }
      await sleep(300)
      continue
    }
    await healed
    await held?.healed
    held = undefined
    const healedMs = performance.now()
    const wanted = journal.accepted + PROGRESS
    while (journal.accepted < wanted && performance.now() - healedMs < PROGRESS_MS) await sleep(50)
    if (journal.accepted < wanted)
      wrong.push(`no work for ${PROGRESS_MS / 1000} s after: ${fault.name} ${fault.target}`)
    slowestMs = Math.max(slowestMs, Math.round(performance.now() - healedMs))
    await sleep(draw(restMs))
  }
  await held?.healed
  return { landed, slowestMs, wrong }
}
