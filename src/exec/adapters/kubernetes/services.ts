// Keeps a Kubernetes Service, and the policy that opens its port, for each pipeline that serves one.
// Invariants:
// - level-triggered: what is there is read again and again and made as it should be;
// - a Service stays for as long as its pipeline, with pods or without: addresses and ports that the cluster
//   gave it go with it;
// - it is taken away only when nobody wants it and the pool it leads to is gone too, so that a start with
//   half the news takes nothing;
// - an object of that name which is not ours is left alone, and told;
// - what is wrong with one is told of its pool and hinders nothing else, its pods neither.

import type { Clock } from '../../../base/clock.ts'
import { isTrouble } from '../../../model/hindrance.ts'
import type { PoolStatus } from '../../../model/pool-status.ts'
import type { KubernetesClient } from './client.ts'
import { firstLine } from './hindrance.ts'
import type { Hindrance } from './hindrance.ts'
import { POOL_LABEL, SERVICE_LABEL, labelSelector } from './names.ts'
import type { Kinds, OwnerReference } from './objects.ts'
import { hindranceOf } from './pool-causes.ts'
import { KubernetesError, isRefusal } from './refusal.ts'
import { isOurs, isPolicyRight, policyOf, serviceChange, serviceOf } from './service-objects.ts'
import type { ServiceOptions, WantedService } from './service-objects.ts'
import { labelsOf, serviceTypesOf } from './settings.ts'
import type { PoolSettings } from './settings.ts'

/** What was read is believed for so long, unless something else is wanted. */
const READ_MS = 5_000
const KINDS = ['services', 'networkpolicies'] as const
type Kind = (typeof KINDS)[number]
type There = { readonly [K in Kind]: Map<string, Kinds[K]> }

export class Services {
  readonly #client: KubernetesClient
  readonly #settings: PoolSettings
  readonly #clock: Clock
  #wanted: readonly WantedService[] = []
  /** Ours, by name. */
  #there: There = { services: new Map(), networkpolicies: new Map() }
  /** By pool. */
  #hindrances: ReadonlyMap<string, Hindrance> = new Map()
  #asked = ''
  #readMs = -Infinity

  constructor(options: {
    readonly client: KubernetesClient
    readonly settings: PoolSettings
    readonly clock: Clock
  }) {
    this.#client = options.client
    this.#settings = options.settings
    this.#clock = options.clock
  }

  /** Makes all of them as decided. What the cluster refuses is told by `tell`. */
  async lay(wanted: readonly WantedService[], owner: OwnerReference | undefined): Promise<void> {
    const asked = JSON.stringify([wanted, owner])
    if (asked === this.#asked && this.#clock.monotonicMs() - this.#readMs < READ_MS) return
    this.#asked = asked
    this.#wanted = wanted
    this.#readMs = this.#clock.monotonicMs()
    const hindrances = new Map<string, Hindrance>()
    try {
      this.#there = await this.#look()
      for (const one of wanted) {
        const hindrance = await this.#make(one, owner)
        if (hindrance !== undefined) hindrances.set(one.pool, hindrance)
      }
    } catch (error) {
      if (!(error instanceof KubernetesError)) throw error
      this.#forget()
      for (const { pool } of wanted) hindrances.set(pool, hindranceOf(error))
    }
    this.#hindrances = hindrances
  }

  /** Takes away what nobody wants and whose pool is not among these. */
  async clear(kept: ReadonlySet<string>): Promise<void> {
    const wanted = new Set(this.#wanted.map((one) => one.name))
    for (const kind of KINDS)
      for (const [name, { metadata }] of this.#there[kind]) {
        if (wanted.has(name) || kept.has(metadata.labels?.[POOL_LABEL] ?? '')) continue
        if (metadata.deletionTimestamp !== undefined) continue
        this.#forget()
        await this.#client.delete(kind, this.#settings.namespace, name, metadata.uid)
        this.#there[kind].delete(name)
      }
  }

  /** The status of a pool, with the address of its service or what is in the way of one. */
  tell(status: PoolStatus): PoolStatus {
    const { pool, cause } = status
    const service = this.#wanted.find((one) => one.pool === pool)
    if (service === undefined) return status
    const { metadata, spec } = this.#there.services.get(service.name) ?? {}
    const [port] = spec?.ports ?? []
    const isThere = port !== undefined && metadata?.deletionTimestamp === undefined
    return {
      ...status,
      address: isThere ? `${service.name}.${this.#settings.namespace}.svc:${port.port}` : null,
      cause: isTrouble(cause) ? cause : (this.#hindrances.get(pool) ?? cause),
    }
  }

  /** It is read again before it is believed. */
  #forget(): void {
    this.#readMs = -Infinity
  }

  async #look(): Promise<There> {
    const { namespace } = this.#settings
    const installation = labelsOf(this.#settings)
    const list = async <K extends Kind>(kind: K): Promise<Map<string, Kinds[K]>> => {
      const labels = `${labelSelector(installation)},${SERVICE_LABEL}`
      const { items } = await this.#client.list(kind, { namespace, labels })
      const ours = items.filter(({ metadata }) => isOurs(metadata, installation))
      return new Map(ours.map((one) => [one.metadata.name, one]))
    }
    const [services, networkpolicies] = await Promise.all([
      list('services'),
      list('networkpolicies'),
    ])
    return { services, networkpolicies }
  }

  /** @throws KubernetesError for what concerns all of them */
  async #make(
    wanted: WantedService,
    owner: OwnerReference | undefined,
  ): Promise<Hindrance | undefined> {
    const { type } = wanted.spec
    const types = serviceTypesOf(this.#settings)
    if (!types.includes(type))
      return {
        reason: 'SpecRefused',
        cause: `the operator does not allow services of type "${type}" any more`,
        remedy: `put the pipeline with another type (allowed: ${types.join(', ') || 'none'})`,
      }
    const { namespace } = this.#settings
    const options = { namespace, labels: labelsOf(this.#settings), owner }
    return (
      (await this.#attempt('services', wanted.name, () => this.#makeService(wanted, options))) ??
      (await this.#attempt('networkpolicies', wanted.name, () => this.#makePolicy(wanted, options)))
    )
  }

  async #makeService(one: WantedService, options: ServiceOptions): Promise<void> {
    const { namespace } = options
    const { services } = this.#there
    const wanted = serviceOf(one, options)
    const listed = services.get(one.name)
    if (listed === undefined)
      services.set(one.name, await this.#client.create('services', namespace, wanted))
    else if (listed.metadata.deletionTimestamp !== undefined) this.#forget()
    else {
      const change = serviceChange(listed, wanted)
      if (change === undefined) return
      services.set(one.name, await this.#client.patch('services', namespace, one.name, change))
    }
  }

  async #makePolicy(one: WantedService, options: ServiceOptions): Promise<void> {
    const { namespace } = options
    const policies = this.#there.networkpolicies
    const wanted = policyOf(one, options)
    const listed = policies.get(one.name)
    if (listed === undefined)
      policies.set(one.name, await this.#client.create('networkpolicies', namespace, wanted))
    else if (listed.metadata.deletionTimestamp !== undefined) this.#forget()
    else if (!isPolicyRight(listed, wanted)) {
      const { resourceVersion } = listed.metadata
      const metadata = { ...wanted.metadata, ...(resourceVersion && { resourceVersion }) }
      const object = { ...wanted, metadata }
      policies.set(one.name, await this.#client.replace('networkpolicies', namespace, object))
    }
  }

  /** @throws KubernetesError for what concerns all of them */
  async #attempt(
    kind: Kind,
    name: string,
    work: () => Promise<void>,
  ): Promise<Hindrance | undefined> {
    try {
      await work()
      return undefined
    } catch (error) {
      const what = kind === 'services' ? `Service "${name}"` : `NetworkPolicy "${name}"`
      if (isRefusal(error, 'exists')) return this.#taken(kind, name, what)
      if (isRefusal(error, 'refused', 'quota'))
        return {
          reason: 'ServiceRefused',
          cause: `the cluster refuses ${what}: ${firstLine(error.message)}`,
          remedy: 'mend what the message names in "service", or ask the operator of the cluster',
        }
      if (!isRefusal(error, 'conflict', 'gone', 'expired')) throw error
      // Old news: the next look knows more.
      this.#forget()
      return undefined
    }
  }

  /** It is there, and was not among ours when they were listed. */
  async #taken(kind: Kind, name: string, what: string): Promise<Hindrance | undefined> {
    const { namespace } = this.#settings
    this.#forget()
    const found = await this.#client.get(kind, namespace, name).catch((error: unknown) => {
      if (isRefusal(error, 'gone')) return undefined
      throw error
    })
    if (found === undefined || isOurs(found.metadata, labelsOf(this.#settings))) return undefined
    return {
      reason: 'NameTaken',
      cause: `${what} of namespace "${namespace}" is there and does not carry our labels: it is left alone`,
      remedy: 'look whose it is, and take it away',
    }
  }
}
