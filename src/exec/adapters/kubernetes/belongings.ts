// What pods need besides the Deployment of their pool: one NetworkPolicy of all, one Secret of each pool.
// Invariants:
// - level-triggered: what is there is read again and again, and made as it should be; a crash between two
//   steps leaves only what the next pass mends or takes away;
// - the policy is there and as decided before any pod may start;
// - a Secret is made before its Deployment, first without a token, so that no token is without a Secret;
// - a token we did not make ourselves is made anew: a Secret is never read, and what signs tokens may have
//   changed since. Those of the keeper before us stay good beside ours;
// - when nothing wants a pool and its Deployment is gone, its tokens are forgotten, then the Secret goes.

import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../../base/clock.ts'
import type { Foreman } from '../../pools.ts'
import type { KubernetesClient } from './client.ts'
import type { Hindrance } from './hindrance.ts'
import { POOL_LABEL, labelSelector } from './names.ts'
import { networkPolicyOf } from './network-policy.ts'
import type { NetworkPolicyObject } from './network-policy.ts'
import type { Metadata, NetworkPolicy, OwnerReference, Secret } from './objects.ts'
import { hindranceOf } from './pool-causes.ts'
import { KubernetesError, isRefusal } from './refusal.ts'
import { labelsOf } from './settings.ts'
import type { PoolSettings } from './settings.ts'

/** What was read is believed for so long, unless we changed it. */
const READ_MS = 5_000
const TOKEN_MS = 7 * 86_400_000
const PREPARING: Hindrance = {
  reason: 'Preparing',
  cause: 'the network policy of the pods is being made',
  remedy: 'wait a moment',
}

interface Read {
  readonly atMs: number
  readonly owner: OwnerReference | undefined
  /** By the name of the pool. */
  readonly secrets: Map<string, Metadata>
}

interface Token {
  readonly secretUid: string | undefined
  readonly ownerUid: string | undefined
  readonly madeMs: number
}

export interface BelongingsOptions {
  readonly client: KubernetesClient
  readonly foreman: Pick<Foreman, 'admit' | 'forget'>
  readonly settings: PoolSettings
  readonly clock: Clock
  readonly digest: (text: string) => string
}

export class Belongings {
  readonly #client: KubernetesClient
  readonly #foreman: Pick<Foreman, 'admit' | 'forget'>
  readonly #settings: PoolSettings
  readonly #clock: Clock
  readonly #policyName: string
  /** Our tokens by pool: in which Secret, of which owner, and when by our monotonic clock. */
  readonly #tokens = new Map<string, Token>()
  #read: Read | undefined

  /** @throws VarveError INVALID_OPTION: the settings name doors that are none */
  constructor(options: BelongingsOptions) {
    this.#client = options.client
    this.#foreman = options.foreman
    this.#settings = options.settings
    this.#clock = options.clock
    const labels = Object.entries(labelsOf(options.settings)).toSorted()
    // Installations with labels of their own can share a namespace.
    this.#policyName = `varve-workers-${options.digest(JSON.stringify(labels)).slice(0, 10)}`
    this.#policy(undefined)
  }

  /** Owns all that is made; undefined when the settings name none, or it was not found. */
  get owner(): OwnerReference | undefined {
    return this.#read?.owner
  }

  /** Reads what is there and makes the policy. What it returns keeps every pod from being made. */
  async lay(): Promise<Hindrance | undefined> {
    if (this.#read !== undefined && this.#clock.monotonicMs() - this.#read.atMs < READ_MS)
      return undefined
    this.#read = undefined
    try {
      const owner = await this.#findOwner()
      if (owner === 'missing') return this.#ownerMissing()
      if (!(await this.#makePolicy(owner))) return PREPARING
      const secrets = await this.#listSecrets()
      this.#read = { atMs: this.#clock.monotonicMs(), owner, secrets }
      return undefined
    } catch (error) {
      if (isRefusal(error, 'conflict', 'gone', 'exists', 'expired')) return PREPARING
      if (error instanceof KubernetesError) return hindranceOf(error)
      throw error
    }
  }

  /** The Secret of the pool is there, with a token that is not old. */
  async furnish(pool: string): Promise<void> {
    const known = this.#read?.secrets.get(pool)
    const there = known?.deletionTimestamp === undefined ? known : undefined
    if (there !== undefined && this.#isOurs(pool, there)) return
    // Whatever becomes of this, it is read again before it is believed.
    this.#forgetRead()
    const { namespace } = this.#settings
    const uid =
      there?.uid ??
      (await this.#client.create('secrets', namespace, this.#secretOf(pool))).metadata.uid
    const token = await this.#foreman.admit(pool)
    const { metadata } = await this.#client.patch('secrets', namespace, pool, {
      metadata: { uid, ownerReferences: this.owner === undefined ? null : [this.owner] },
      data: { token: Buffer.from(token).toString('base64') },
    })
    const madeMs = this.#clock.monotonicMs()
    this.#tokens.set(pool, { secretUid: uid, ownerUid: this.owner?.uid, madeMs })
    this.#read?.secrets.set(pool, metadata)
  }

  /** Takes away the Secrets of other pools, and what their tokens open. */
  async clear(kept: ReadonlySet<string>): Promise<void> {
    const { namespace } = this.#settings
    for (const [pool, metadata] of this.#read?.secrets ?? []) {
      if (kept.has(pool) || metadata.deletionTimestamp !== undefined) continue
      this.#forgetRead()
      this.#tokens.delete(pool)
      await this.#foreman.forget(pool)
      await this.#client.delete('secrets', namespace, pool, metadata.uid)
      this.#read?.secrets.delete(pool)
    }
  }

  /** What is remembered stays for this pass, and is read anew at the next. */
  #forgetRead(): void {
    if (this.#read !== undefined) this.#read = { ...this.#read, atMs: -Infinity }
  }

  async #findOwner(): Promise<OwnerReference | 'missing' | undefined> {
    const { owner, namespace } = this.#settings
    if (owner === undefined) return undefined
    try {
      const { metadata } = await this.#client.get('configmaps', namespace, owner)
      if (metadata.deletionTimestamp !== undefined) return 'missing'
      return { apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid: metadata.uid ?? '' }
    } catch (error) {
      if (isRefusal(error, 'gone')) return 'missing'
      throw error
    }
  }

  #ownerMissing(): Hindrance {
    const { owner, namespace } = this.#settings
    return {
      reason: 'OwnerMissing',
      cause: `nothing is made: ConfigMap "${owner}" of namespace "${namespace}", which shall own it, is not there`,
      remedy: 'install the chart again, or name another "owner" in the settings of pools',
    }
  }

  /** True when it is as decided. */
  async #makePolicy(owner: OwnerReference | undefined): Promise<boolean> {
    const { namespace } = this.#settings
    const wanted = this.#policy(owner)
    const listed = await this.#client
      .get('networkpolicies', namespace, wanted.metadata.name)
      .catch((error: unknown) => {
        if (isRefusal(error, 'gone')) return undefined
        throw error
      })
    if (listed === undefined) await this.#client.create('networkpolicies', namespace, wanted)
    else if (listed.metadata.deletionTimestamp !== undefined) return false
    else if (!isAsDecided(listed, wanted)) {
      const { resourceVersion } = listed.metadata
      const metadata = { ...wanted.metadata, ...(resourceVersion && { resourceVersion }) }
      await this.#client.replace('networkpolicies', namespace, { ...wanted, metadata })
    }
    return true
  }

  async #listSecrets(): Promise<Map<string, Metadata>> {
    const labels = labelSelector(labelsOf(this.#settings))
    const { items } = await this.#client.list('secrets', {
      namespace: this.#settings.namespace,
      labels,
    })
    // Only what we named ourselves: a secret of somebody else with our labels is not ours to take.
    return new Map(
      items
        .filter(({ metadata }) => metadata.labels?.[POOL_LABEL] === metadata.name)
        .map(({ metadata }) => [metadata.name, metadata]),
    )
  }

  #policy(owner: OwnerReference | undefined): NetworkPolicyObject {
    const { api, allow, dns, namespace } = this.#settings
    return networkPolicyOf({
      name: this.#policyName,
      namespace,
      labels: labelsOf(this.#settings),
      api: { to: api.to, ports: [api.port] },
      ...(allow !== undefined && { allow }),
      ...(dns !== undefined && { dns }),
      ...(owner !== undefined && { owner }),
    })
  }

  /** Without a token: one that was made for nobody would never be forgotten. */
  #secretOf(pool: string): Secret {
    const { namespace } = this.#settings
    const labels = { ...labelsOf(this.#settings), [POOL_LABEL]: pool }
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: pool, namespace, labels, ...this.#owned() },
      type: 'Opaque',
    }
  }

  #owned(): { readonly ownerReferences?: readonly OwnerReference[] } {
    return this.owner === undefined ? {} : { ownerReferences: [this.owner] }
  }

  #isOurs(pool: string, { uid }: Metadata): boolean {
    const token = this.#tokens.get(pool)
    return (
      token !== undefined &&
      token.secretUid === uid &&
      token.ownerUid === this.owner?.uid &&
      this.#clock.monotonicMs() - token.madeMs < TOKEN_MS
    )
  }
}

// The API server leaves out what is empty.
function isAsDecided({ metadata, spec }: NetworkPolicy, wanted: NetworkPolicyObject): boolean {
  const { podSelector, policyTypes, ingress = [], egress = [] } = spec ?? {}
  return (
    isDeepStrictEqual({ podSelector, policyTypes, ingress, egress }, wanted.spec) &&
    metadata.ownerReferences?.[0]?.uid === wanted.metadata.ownerReferences?.[0]?.uid
  )
}
