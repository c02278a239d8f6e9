// What hosts of spouts and egresses know, and the keeper of pools, where they and the API are different
// processes: each tells every second what runs in it, each API keeps the latest it heard. A bell: what
// is not heard of for a while is not known, whatever the cause, and is said to be so.

import type { Clock } from '../base/clock.ts'
import { fromUtf8, utf8 } from '../base/bytes.ts'
import type { Bus, Subscription } from '../bus/bus.ts'
import { TOPICS } from '../bus/bus.ts'
import type { EgressStatus, Egresses } from '../egress/status.ts'
import type { PoolStatus } from '../model/pool-status.ts'
import type { SpoutStatus, Spouts } from '../spouts/status.ts'
import { HeardPools } from './heard-pools.ts'

const TELL_EVERY_MS = 1_000
/** Not heard of for this long: nobody reports it. */
const AGED_MS = 10_000
/** The keeper told of others since, and not of this pool: a missed message is no proof, three are. */
const GONE_MS = 3 * TELL_EVERY_MS
/** Characters in one message, unless one status alone has more: far below what a broker takes. */
const TOLD_AT_ONCE = 200_000
/** Pods told of one pool, so that its status fits a message. */
const PODS_TOLD = 500

interface StatusOf {
  readonly spout: SpoutStatus
  readonly egress: EgressStatus
  readonly pool: PoolStatus
}
type Kind = keyof StatusOf
type Status = StatusOf[Kind]

interface Reported<S> {
  readonly project: string
  readonly status: S
}

interface Told {
  readonly kind: Kind
  readonly reported: readonly Reported<Status>[]
}

/** Tells until the signal what runs here. `who` keeps one host's messages in order. */
export async function tellStatuses<K extends Kind>(
  guests: { readonly bus: Bus; readonly clock: Clock; readonly who: string },
  kind: K,
  statuses: () => Iterable<Reported<StatusOf[K]>> | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { bus, clock, who } = guests
  while (!signal.aborted) {
    const told = statuses()
    const values = told ? tellings(kind, [...told]) : []
    const messages = values.map((value) => ({ partition: 0, key: who, headers: {}, value }))
    // Nobody may depend on it, so nobody may fail because of it.
    if (messages.length > 0) await bus.publish(TOPICS.status, messages).catch(() => {})
    await clock.sleep(TELL_EVERY_MS, signal)
  }
}

/**
 * Tells until the signal of all pools there are, also that there are none.
 * @param pools undefined while this process is not their keeper
 */
export function tellPools(
  guests: { readonly bus: Bus; readonly clock: Clock; readonly who: string },
  pools: () => readonly PoolStatus[] | undefined,
  signal: AbortSignal,
): Promise<void> {
  const told = (): Reported<PoolStatus>[] | undefined =>
    pools()?.map((status) => ({
      project: status.project,
      status: { ...status, pods: status.pods.slice(0, PODS_TOLD) },
    }))
  return tellStatuses(guests, 'pool', told, signal)
}

function tellings(kind: Kind, reported: readonly Reported<Status>[]): Uint8Array[] {
  const parts: string[][] = []
  let room = 0
  for (const text of reported.map((one) => JSON.stringify(one))) {
    if (parts.length === 0 || text.length > room) {
      parts.push([])
      room = TOLD_AT_ONCE
    }
    parts.at(-1)?.push(text)
    room -= text.length
  }
  // That there is no pool is news too: it tells that somebody keeps them.
  if (kind === 'pool' && parts.length === 0) parts.push([])
  return parts.map((texts) => utf8(`{"kind":"${kind}","reported":[${texts.join(',')}]}`))
}

const UNKNOWN_STATE = 'unknown: no host reports'
const UNKNOWN_CAUSE = 'no process with this role has reported it lately; see the operations page'

export class StatusBoard {
  readonly #clock: Clock
  readonly #heard = new Map<string, { status: SpoutStatus | EgressStatus; heardMs: number }>()
  readonly #tail: Subscription
  #sweptMs = 0
  readonly pools: HeardPools

  /** Listens from now on; `close` ends it. */
  constructor(guests: { readonly bus: Bus; readonly clock: Clock }) {
    this.#clock = guests.clock
    this.pools = new HeardPools({ clock: guests.clock, agedMs: AGED_MS, goneMs: GONE_MS })
    this.#tail = guests.bus.subscribe(TOPICS.status, { tail: true }, (messages) => {
      for (const message of messages) this.#hear(message.value)
      return Promise.resolve()
    })
  }

  readonly spouts: Spouts = {
    status: (project, name) =>
      (this.#latest('spout', project, name) as SpoutStatus | undefined) ?? {
        name,
        state: UNKNOWN_STATE,
        cause: UNKNOWN_CAUSE,
        parts: {},
        lagRecords: null,
        openRecords: 0,
        openBytes: 0,
        nextFlush: null,
        recordsPerSecond: 0,
        lastCommitId: null,
      },
  }

  readonly egresses: Egresses = {
    status: (project, name) =>
      (this.#latest('egress', project, name) as EgressStatus | undefined) ?? {
        name,
        state: UNKNOWN_STATE,
        cause: UNKNOWN_CAUSE,
        lagCommits: 0,
        recordsPerSecond: 0,
        lastDeliveredId: null,
      },
  }

  close(): Promise<void> {
    return this.#tail.close()
  }

  #latest(
    kind: 'spout' | 'egress',
    project: string,
    name: string,
  ): SpoutStatus | EgressStatus | undefined {
    const heard = this.#heard.get(`${kind} ${project}/${name}`)
    if (!heard || this.#clock.monotonicMs() - heard.heardMs > AGED_MS) return undefined
    return heard.status
  }

  #hear(value: Uint8Array): void {
    let told: Told
    try {
      told = JSON.parse(fromUtf8(value)) as Told
    } catch {
      return // of a release to come, or nobody's
    }
    const heardMs = this.#clock.monotonicMs()
    for (const { project, status } of told.reported)
      if (!('pool' in status))
        this.#heard.set(`${told.kind} ${project}/${status.name}`, { status, heardMs })
    if (told.kind === 'pool') this.pools.hear(told.reported.map((one) => one.status as PoolStatus))
    if (heardMs - this.#sweptMs < AGED_MS) return
    this.#sweptMs = heardMs
    for (const [key, { heardMs: at }] of this.#heard)
      if (heardMs - at > AGED_MS) this.#heard.delete(key)
  }
}
