// Events and quotas of the namespace: read only while something is not running, and not at every pass.
// Where they cannot be read the last ones stay, or causes are told less exactly, and that is all.

import type { Clock } from '../../../base/clock.ts'
import type { KubernetesClient } from './client.ts'
import type { Event, ResourceQuota } from './objects.ts'

const NEWS_MS = 3_000

export class News {
  readonly #client: KubernetesClient
  readonly #namespace: string
  readonly #clock: Clock
  /** When what is here was asked for, by our monotonic clock. */
  readMs = -Infinity
  events: readonly Event[] = []
  quotas: readonly ResourceQuota[] = []

  constructor(client: KubernetesClient, namespace: string, clock: Clock) {
    this.#client = client
    this.#namespace = namespace
    this.#clock = clock
  }

  async read(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.readMs < NEWS_MS) return
    const scope = { namespace: this.#namespace }
    const [events, quotas] = await Promise.all([
      this.#client
        .list('events', { ...scope, fields: 'involvedObject.kind=Pod' })
        .catch(() => ({ items: this.events })),
      this.#client.list('resourcequotas', scope).catch(() => ({ items: this.quotas })),
    ])
    this.events = events.items
    this.quotas = quotas.items
    this.readMs = nowMs
  }
}
