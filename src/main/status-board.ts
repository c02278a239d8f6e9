// What hosts of spouts and egresses know, where hosts and API are different processes: each host tells
// every second what runs in it, each API keeps the latest it heard. A bell: what is not heard of for a
// while is not known, whatever the cause, and is said to be so.

import type { Clock } from '../base/clock.ts'
import { fromUtf8, utf8 } from '../base/bytes.ts'
import type { Bus, Subscription } from '../bus/bus.ts'
import { TOPICS } from '../bus/bus.ts'
import type { EgressStatus, Egresses } from '../egress/status.ts'
import type { SpoutStatus, Spouts } from '../spouts/status.ts'

const TELL_EVERY_MS = 1_000
/** Not heard of for this long: nobody reports it. */
const AGED_MS = 10_000
/** Statuses in one message: far below what a broker takes. */
const TOLD_AT_ONCE = 200

type Kind = 'spout' | 'egress'

interface Reported<Status> {
  readonly project: string
  readonly status: Status
}

interface Told {
  readonly kind: Kind
  readonly reported: readonly Reported<SpoutStatus | EgressStatus>[]
}

/** Tells until the signal what runs here. `who` keeps one host's messages in order. */
export async function tellStatuses(
  guests: { readonly bus: Bus; readonly clock: Clock; readonly who: string },
  kind: Kind,
  statuses: () => Iterable<Reported<SpoutStatus | EgressStatus>>,
  signal: AbortSignal,
): Promise<void> {
  const { bus, clock, who } = guests
  while (!signal.aborted) {
    const all = [...statuses()]
    const messages = []
    for (let at = 0; at < all.length; at += TOLD_AT_ONCE) {
      const told: Told = { kind, reported: all.slice(at, at + TOLD_AT_ONCE) }
      messages.push({ partition: 0, key: who, headers: {}, value: utf8(JSON.stringify(told)) })
    }
    // Nobody may depend on it, so nobody may fail because of it.
    if (messages.length > 0) await bus.publish(TOPICS.status, messages).catch(() => {})
    await clock.sleep(TELL_EVERY_MS, signal)
  }
}

const UNKNOWN_STATE = 'unknown: no host reports'
const UNKNOWN_CAUSE = 'no process with this role has reported it lately; see the operations page'

export class StatusBoard {
  readonly #clock: Clock
  readonly #heard = new Map<string, { status: SpoutStatus | EgressStatus; heardMs: number }>()
  readonly #tail: Subscription
  #sweptMs = 0

  /** Listens from now on; `close` ends it. */
  constructor(guests: { readonly bus: Bus; readonly clock: Clock }) {
    this.#clock = guests.clock
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

  #latest(kind: Kind, project: string, name: string): SpoutStatus | EgressStatus | undefined {
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
      this.#heard.set(`${told.kind} ${project}/${status.name}`, { status, heardMs })
    if (heardMs - this.#sweptMs < AGED_MS) return
    this.#sweptMs = heardMs
    for (const [key, { heardMs: at }] of this.#heard)
      if (heardMs - at > AGED_MS) this.#heard.delete(key)
  }
}
