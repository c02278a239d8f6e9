// A process that decides: takes proposals from the bus and hands them to the lanes of their projects.
// Any number of writers may serve one project at once; the log's guard lets one append at a time. A
// writer that lost a project to another acts only on what it got: its lane looks at the log no more
// than that asks for, and is let go after a quiet time, as all lanes are.

import { Signal } from '../base/async.ts'
import { TOPICS } from '../bus/bus.ts'
import type { BusMessage } from '../bus/bus.ts'
import { say } from './diagnostics.ts'
import { Lane } from './lane.ts'
import type { LaneOptions } from './lane.ts'
import { decodeSent } from './wire.ts'

/** Proposals a lane holds before its partition of the bus has to wait. */
const LANE_FULL = 8192
/** A lane that could not go on is begun anew by a proposal after this time. */
const REST_MS = 5_000
const IDLE_MS = 600_000
/** Lanes are looked over so often in that time. */
const LOOKS = 4

export class LogWriter<Op, Fact, State, Prepared> {
  readonly #options: LaneOptions<Op, Fact, State, Prepared>
  readonly #lanes = new Map<string, Lane<Op, Fact, State, Prepared>>()
  readonly #running = new Set<Promise<void>>()
  #signal: AbortSignal | undefined
  #sweeping: Promise<void> | undefined

  constructor(options: LaneOptions<Op, Fact, State, Prepared>) {
    this.#options = options
  }

  /** Serves until the signal; once in the life of a writer. Resolves when all is at rest. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal
    const stopped = new Signal()
    signal.addEventListener('abort', () => stopped.ring())
    const subscription = this.#options.bus.subscribe(
      TOPICS.proposals,
      { group: 'log-writers' },
      (messages) => this.#take(messages, signal),
    )
    if (!signal.aborted) await stopped.wait()
    await subscription.close()
    await Promise.all([...this.#running, this.#sweeping])
  }

  /** Projects it has a lane for. */
  get lanes(): number {
    return this.#lanes.size
  }

  /** Begins to serve a project: what its log holds is projected if it is not yet. */
  ensure(project: string): void {
    this.#lane(project)?.offer({ kind: 'ring', project })
  }

  /** Hands off and returns: a lane that is slow must not hold the others of its partition. */
  async #take(messages: readonly BusMessage[], signal: AbortSignal): Promise<void> {
    const { mac } = this.#options
    const dead: BusMessage[] = []
    let forged = 0
    for (const message of messages) {
      const sent = decodeSent<Op>(message, mac)
      if (sent === 'forged') {
        forged++
        continue
      }
      if (!sent) {
        dead.push(message)
        continue
      }
      const project = sent.kind === 'ring' ? sent.project : sent.proposal.project
      let lane = this.#lane(project)
      while (lane && lane.size >= LANE_FULL && !lane.stopped) {
        await this.#options.clock.sleep(5, signal)
        lane = this.#lane(project)
      }
      lane?.offer(sent)
    }
    // They are kept nowhere: whoever sends them must not be able to fill anything.
    if (forged > 0)
      say('anomaly', { what: 'proposals that are not of this cluster', count: forged })
    if (dead.length === 0) return
    say('anomaly', { what: 'proposals that cannot be read', count: dead.length })
    await this.#options.bus.publish(TOPICS.deadLetters, dead).catch((error: unknown) => {
      say('anomaly', { what: 'dead letters were not kept', error })
    })
  }

  #lane(project: string): Lane<Op, Fact, State, Prepared> | undefined {
    const signal = this.#signal
    if (!signal || signal.aborted) return undefined
    const known = this.#lanes.get(project)
    if (known) return known
    const lane = new Lane(project, this.#options)
    this.#lanes.set(project, lane)
    const running: Promise<void> = lane
      .run(signal)
      // It has said why on its channel; its proposers ask again.
      .catch(() => this.#options.clock.sleep(REST_MS, signal))
      .finally(() => {
        if (this.#lanes.get(project) === lane) this.#lanes.delete(project)
        this.#running.delete(running)
      })
    this.#running.add(running)
    this.#sweeping ??= this.#sweep(signal)
    return lane
  }

  /** Lets idle lanes go, while there are any: the next proposal begins another. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { clock, idleMs = IDLE_MS } = this.#options
    while (this.#lanes.size > 0 && !signal.aborted) {
      await clock.sleep(idleMs / LOOKS, signal)
      for (const [project, lane] of this.#lanes) {
        if (!lane.isIdle(idleMs)) continue
        // In one step: what comes now finds no lane, or one that takes it.
        this.#lanes.delete(project)
        lane.retire()
      }
    }
    this.#sweeping = undefined
  }
}
