// An API server in memory, with what a real one will not do on demand: answers that are lost before or
// after the deed, events that come late, a forgotten past, standing still. test/kubernetes runs the
// same controller against a real one.

import { deferred } from '../../../src/base/async.ts'
import type { Clock } from '../../../src/base/clock.ts'
import type { Random } from '../../../src/base/random.ts'
import type {
  Change,
  KubernetesClient,
  Listed,
  LogQuestion,
  Scope,
} from '../../../src/exec/adapters/kubernetes/client.ts'
import type {
  Kind,
  Kinds,
  KubernetesObject,
  Metadata,
  Pod,
} from '../../../src/exec/adapters/kubernetes/objects.ts'
import { KubernetesError } from '../../../src/exec/adapters/kubernetes/refusal.ts'
import type { RefusalReason } from '../../../src/exec/adapters/kubernetes/refusal.ts'

const REQUEST_TIMEOUT_MS = 15_000
const KINDS = [
  'deployments',
  'pods',
  'events',
  'resourcequotas',
  'secrets',
  'configmaps',
  'services',
  'networkpolicies',
] as const satisfies readonly Kind[]

interface Happened {
  readonly kind: Kind
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubernetesObject
}

export class FakeApi implements KubernetesClient {
  readonly #clock: Clock
  readonly #random: Random
  readonly #objects = new Map<Kind, Map<string, KubernetesObject>>(
    KINDS.map((kind) => [kind, new Map()]),
  )
  readonly #history: Happened[] = []
  #version = 1
  #uid = 0
  #news = deferred<void>()
  /** Watches begun from an older version are refused. */
  forgottenUpTo = 0
  /** Nobody is answered, watches say nothing. */
  frozen = false
  /** Share of requests without an answer; half of the writes among them are carried out. */
  lossRate = 0
  /** Events reach a watch up to this late. */
  lateMs = 0
  /** Ends every watch that is open. */
  breakWatches: () => void = () => {}
  /** What is refused: return a reason. */
  refuse: (
    verb: string,
    kind: Kind,
    name: string | undefined,
  ) => [RefusalReason, string] | undefined = () => undefined
  logs: (question: LogQuestion, signal: AbortSignal) => AsyncIterable<string> =
    async function* () {}
  readonly asked: string[] = []

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
    this.#renewBreak()
  }

  // What the cluster itself does; no fate strikes it.

  all<K extends Kind>(kind: K): Kinds[K][] {
    return [...this.#kind(kind).values()] as Kinds[K][]
  }

  put<K extends Kind>(kind: K, object: Kinds[K]): void {
    const before = this.#kind(kind).get(object.metadata.name)
    const version = `${++this.#version}`
    const metadata: Metadata = {
      uid: before?.metadata.uid ?? `uid-${++this.#uid}`,
      creationTimestamp: new Date(this.#clock.nowMs()).toISOString(),
      ...object.metadata,
      resourceVersion: version,
    }
    this.#kind(kind).set(metadata.name, { ...object, metadata })
    this.#happen(kind, before === undefined ? 'ADDED' : 'MODIFIED', { ...object, metadata })
  }

  remove(kind: Kind, name: string): void {
    const before = this.#kind(kind).get(name)
    if (before === undefined) return
    this.#kind(kind).delete(name)
    this.#version++
    const metadata = { ...before.metadata, resourceVersion: `${this.#version}` }
    this.#happen(kind, 'DELETED', { ...before, metadata })
  }

  // What the client asks.

  async list<K extends Kind>(kind: K, scope: Scope): Promise<Listed<K>> {
    const answer = (): Listed<K> => ({
      items: this.all(kind).filter((object) => matches(object, scope)),
      version: `${this.#version}`,
    })
    return this.#request('list', kind, undefined, answer)
  }

  get<K extends Kind>(kind: K, _namespace: string, name: string): Promise<Kinds[K]> {
    return this.#request('get', kind, name, () => this.#known(kind, name))
  }

  create<K extends Kind>(kind: K, _namespace: string, object: Kinds[K]): Promise<Kinds[K]> {
    const { name } = object.metadata
    return this.#request('create', kind, name, () => {
      if (this.#kind(kind).has(name))
        throw new KubernetesError('exists', `"${name}" already exists`)
      this.put(kind, object)
      return this.#known(kind, name)
    })
  }

  replace<K extends Kind>(kind: K, _namespace: string, object: Kinds[K]): Promise<Kinds[K]> {
    const { name, resourceVersion } = object.metadata
    return this.#request('update', kind, name, () => {
      const { uid, creationTimestamp } = this.#sameVersion(kind, name, resourceVersion).metadata
      this.put(kind, {
        ...object,
        metadata: {
          ...object.metadata,
          ...(uid === undefined ? {} : { uid }),
          ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
        },
      })
      return this.#known(kind, name)
    })
  }

  patch<K extends Kind>(
    kind: K,
    _namespace: string,
    name: string,
    change: object,
  ): Promise<Kinds[K]> {
    return this.#request('patch', kind, name, () => {
      this.put(kind, merged(this.#known(kind, name), change) as Kinds[K])
      return this.#known(kind, name)
    })
  }

  scale(_namespace: string, name: string, replicas: number, version?: string): Promise<void> {
    return this.#request('scale', 'deployments', name, () => {
      const deployment = this.#sameVersion('deployments', name, version)
      this.put('deployments', { ...deployment, spec: { ...deployment.spec, replicas } })
    })
  }

  delete(kind: Kind, _namespace: string, name: string, uid?: string): Promise<void> {
    return this.#request('delete', kind, name, () => {
      const known = this.#known(kind, name)
      if (uid !== undefined && known.metadata.uid !== uid)
        throw new KubernetesError('conflict', `uid of "${name}" is another`)
      // Nothing of it runs any more: no kubelet has to end it first.
      const { phase } = (known as Pod).status ?? {}
      if (phase === 'Failed' || phase === 'Succeeded') return this.remove(kind, name)
      const deletionTimestamp = new Date(this.#clock.nowMs()).toISOString()
      this.put(kind, { ...known, metadata: { ...known.metadata, deletionTimestamp } })
    })
  }

  async *watch<K extends Kind>(
    kind: K,
    scope: Scope,
    from: { readonly version: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): AsyncGenerator<Change<K>> {
    this.asked.push(`watch ${kind}`)
    const ended = this.#broken.signal
    const endMs = this.#clock.monotonicMs() + from.timeoutSeconds * 1000
    const stop = AbortSignal.any([signal, ended])
    let at = Number(from.version)
    for (;;) {
      if (stop.aborted) throw new KubernetesError('lost', 'the connection is lost')
      if (this.frozen) {
        await this.#clock.sleep(500, stop)
        continue
      }
      if (at < this.forgottenUpTo) throw new KubernetesError('expired', 'too old resource version')
      const next = this.#history.find((one) => one.version > at)
      if (next !== undefined) {
        at = next.version
        if (next.kind !== kind || !matches(next.object, scope)) continue
        if (this.lateMs > 0) await this.#clock.sleep(this.lateMs * this.#random.next(), stop)
        if (!stop.aborted) yield { type: next.type, object: next.object as Kinds[K] }
        continue
      }
      if (this.#clock.monotonicMs() >= endMs) return
      const woken = new AbortController()
      const waitMs = Math.min(1_000, endMs - this.#clock.monotonicMs())
      const timer = this.#clock.sleep(waitMs, AbortSignal.any([stop, woken.signal]))
      await Promise.race([this.#news.promise, timer])
      woken.abort()
    }
  }

  logLines(question: LogQuestion, signal: AbortSignal): AsyncIterable<string> {
    return this.logs(question, signal)
  }

  async #request<T>(verb: string, kind: Kind, name: string | undefined, work: () => T): Promise<T> {
    this.asked.push(`${verb} ${kind}${name === undefined ? '' : ` ${name}`}`)
    await this.#clock.sleep(1 + 5 * this.#random.next())
    const refused = this.refuse(verb, kind, name)
    if (refused !== undefined) throw new KubernetesError(...refused)
    const unanswered = this.frozen || this.#random.next() < this.lossRate
    if (!unanswered) return work()
    // A frozen server carries out what reached it when it goes on; here it is done before or never.
    if (this.#random.next() < 0.5) work()
    await this.#clock.sleep(this.frozen ? REQUEST_TIMEOUT_MS : 50)
    throw new KubernetesError(
      'lost',
      `cannot ${verb} ${kind}: the API server did not answer (FAKE)`,
    )
  }

  #broken = new AbortController()

  #renewBreak(): void {
    this.breakWatches = () => {
      const broken = this.#broken
      this.#broken = new AbortController()
      broken.abort()
    }
  }

  #kind(kind: Kind): Map<string, KubernetesObject> {
    return this.#objects.get(kind) as Map<string, KubernetesObject>
  }

  #known<K extends Kind>(kind: K, name: string): Kinds[K] {
    const object = this.#kind(kind).get(name)
    if (object === undefined) throw new KubernetesError('gone', `${kind} "${name}" not found`)
    return object as Kinds[K]
  }

  #sameVersion<K extends Kind>(kind: K, name: string, version: string | undefined): Kinds[K] {
    const known = this.#known(kind, name)
    if (version !== undefined && known.metadata.resourceVersion !== version)
      throw new KubernetesError('conflict', `"${name}" has been modified`)
    return known
  }

  #happen(kind: Kind, type: Happened['type'], object: KubernetesObject): void {
    this.#history.push({ kind, version: this.#version, type, object })
    const news = this.#news
    this.#news = deferred()
    news.resolve()
  }
}

function matches(object: KubernetesObject, scope: Scope): boolean {
  return (scope.labels ?? '')
    .split(',')
    .filter((part) => part !== '')
    .every((part) => {
      const [name = '', value] = part.split('=')
      const label = object.metadata.labels?.[name]
      return value === undefined ? label !== undefined : label === value
    })
}

/** RFC 7396. */
function merged(target: unknown, change: unknown): unknown {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) return change
  const result: Record<string, unknown> = { ...(target as object) }
  for (const [name, value] of Object.entries(change))
    if (value === null) delete result[name]
    else result[name] = merged(result[name], value)
  return result
}
