// A thin face over the Kubernetes client: the library finds the cluster and logs in, we ask and read.
// Contents of Secrets and ConfigMaps are never read: of them only the metadata is asked for.

import { VarveError } from '../../../base/errors.ts'
import { KubernetesHttp } from './http.ts'
import type { Question } from './http.ts'
import type { Kind, Kinds } from './objects.ts'
import { refusal } from './refusal.ts'

export interface Scope {
  readonly namespace: string
  /** Label selector: `varve.io/pool=a,app=b`. */
  readonly labels?: string
  readonly fields?: string
}

export interface Listed<K extends Kind> {
  readonly items: readonly Kinds[K][]
  /** Where a watch continues from. */
  readonly version: string
}

export type Change<K extends Kind> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Kinds[K] }
  | { readonly type: 'BOOKMARK'; readonly version: string }

export interface LogQuestion {
  readonly namespace: string
  readonly pod: string
  readonly container: string
  readonly follow: boolean
  /** RFC 3339; the server counts in whole seconds. */
  readonly sinceTime?: string
  /** The log of the container's run before this one. */
  readonly previous?: boolean
}

/** All of it throws KubernetesError. */
export interface KubernetesClient {
  list<K extends Kind>(kind: K, scope: Scope): Promise<Listed<K>>
  /** @throws gone */
  get<K extends Kind>(kind: K, namespace: string, name: string): Promise<Kinds[K]>
  /** @throws exists */
  create<K extends Kind>(kind: K, namespace: string, object: Kinds[K]): Promise<Kinds[K]>
  /** Refused when the object names a resourceVersion that is not the newest. @throws conflict, gone */
  replace<K extends Kind>(kind: K, namespace: string, object: Kinds[K]): Promise<Kinds[K]>
  /** Merge patch: null removes a field. @throws gone, conflict (when it names a resourceVersion) */
  patch<K extends Kind>(kind: K, namespace: string, name: string, change: object): Promise<Kinds[K]>
  /** Refused when the object is not at `version` any more. @throws conflict, gone */
  scale(namespace: string, name: string, replicas: number, version?: string): Promise<void>
  /** In the foreground: what it owns goes before it. Only that object when `uid` is given. @throws gone */
  delete(kind: Kind, namespace: string, name: string, uid?: string): Promise<void>
  /** Ends when the server ends it, after `timeoutSeconds` at the latest if the server lives. @throws expired, lost */
  watch<K extends Kind>(
    kind: K,
    scope: Scope,
    from: { readonly version: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): AsyncIterable<Change<K>>
  /** Lines with the time in front, as the server has them. Ends when the container ends. @throws gone, lost */
  logLines(question: LogQuestion, signal: AbortSignal): AsyncIterable<string>
}

const CORE = '/api/v1'
const GROUPS = {
  deployments: '/apis/apps/v1',
  pods: CORE,
  events: CORE,
  resourcequotas: CORE,
  secrets: CORE,
  configmaps: CORE,
  services: CORE,
  networkpolicies: '/apis/networking.k8s.io/v1',
} as const satisfies Record<Kind, string>

const ONLY_METADATA = ';as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
const ONLY_METADATA_LIST = ';as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
const SHUT: ReadonlySet<Kind> = new Set<Kind>(['secrets', 'configmaps'])
const PAGE = 500

export interface KubernetesOptions {
  /** File that says where the cluster is. Default: the pod we run in, else what kubectl would take. */
  readonly kubeconfig?: string
  readonly requestTimeoutMs?: number
}

/**
 * Asks nothing yet.
 * @throws VarveError MISCONFIGURED: the library is not installed, no cluster is named, a file is unreadable
 */
export async function connectKubernetes(
  options: KubernetesOptions = {},
): Promise<KubernetesClient> {
  const library = await import('@kubernetes/client-node').catch((error: unknown) => {
    throw new VarveError(
      'MISCONFIGURED',
      'cannot speak to Kubernetes: the package "@kubernetes/client-node" is not installed; install it beside Varve',
      { cause: error },
    )
  })
  const login = new library.KubeConfig()
  try {
    if (options.kubeconfig !== undefined) login.loadFromFile(options.kubeconfig)
    else if (process.env['KUBERNETES_SERVICE_HOST']) login.loadFromCluster()
    else login.loadFromDefault()
  } catch (error) {
    throw new VarveError(
      'MISCONFIGURED',
      `cannot read kubeconfig "${options.kubeconfig ?? 'default'}": ${(error as Error).message}`,
      { cause: error },
    )
  }
  const server = login.getCurrentCluster()?.server
  if (server === undefined)
    throw new VarveError('MISCONFIGURED', 'cannot find a cluster: the kubeconfig names none')
  return new HttpKubernetes(new KubernetesHttp(login, server, options.requestTimeoutMs ?? 15_000))
}

type Told<K extends Kind> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: Kinds[K] }
  | {
      readonly type: 'ERROR'
      readonly object: { code?: number; message?: string; reason?: string }
    }

class HttpKubernetes implements KubernetesClient {
  readonly #http: KubernetesHttp

  constructor(http: KubernetesHttp) {
    this.#http = http
  }

  async list<K extends Kind>(kind: K, scope: Scope): Promise<Listed<K>> {
    const items: Kinds[K][] = []
    let next: string | undefined
    for (;;) {
      const page = (await this.#http.ask({
        verb: 'list',
        kind,
        namespace: scope.namespace,
        method: 'GET',
        path: pathOf(kind, scope.namespace),
        query: { ...selectors(scope), limit: `${PAGE}`, continue: next },
        ...(SHUT.has(kind) ? { accept: ONLY_METADATA_LIST } : {}),
      })) as {
        items?: Kinds[K][] | null
        metadata?: { resourceVersion?: string; continue?: string }
      }
      items.push(...(page.items ?? []))
      next = page.metadata?.continue
      if (!next) return { items, version: page.metadata?.resourceVersion ?? '' }
    }
  }

  get<K extends Kind>(kind: K, namespace: string, name: string): Promise<Kinds[K]> {
    return this.#one('get', 'GET', kind, namespace, name)
  }

  create<K extends Kind>(kind: K, namespace: string, object: Kinds[K]): Promise<Kinds[K]> {
    return this.#one('create', 'POST', kind, namespace, object.metadata.name, json(object))
  }

  replace<K extends Kind>(kind: K, namespace: string, object: Kinds[K]): Promise<Kinds[K]> {
    return this.#one('update', 'PUT', kind, namespace, object.metadata.name, json(object))
  }

  patch<K extends Kind>(
    kind: K,
    namespace: string,
    name: string,
    change: object,
  ): Promise<Kinds[K]> {
    return this.#one('patch', 'PATCH', kind, namespace, name, merge(change))
  }

  async scale(namespace: string, name: string, replicas: number, version?: string): Promise<void> {
    await this.#http.ask({
      verb: 'patch',
      kind: 'deployments',
      subresource: 'scale',
      namespace,
      name,
      method: 'PATCH',
      path: `${pathOf('deployments', namespace, name)}/scale`,
      body: merge({
        ...(version === undefined ? {} : { metadata: { resourceVersion: version } }),
        spec: { replicas },
      }),
    })
  }

  async delete(kind: Kind, namespace: string, name: string, uid?: string): Promise<void> {
    const options = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Foreground',
      ...(uid === undefined ? {} : { preconditions: { uid } }),
    }
    await this.#one('delete', 'DELETE', kind, namespace, name, json(options))
  }

  async *watch<K extends Kind>(
    kind: K,
    scope: Scope,
    from: { readonly version: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): AsyncGenerator<Change<K>> {
    const asked: Question = {
      verb: 'watch',
      kind,
      namespace: scope.namespace,
      method: 'GET',
      path: pathOf(kind, scope.namespace),
      query: {
        ...selectors(scope),
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: from.version,
        timeoutSeconds: `${from.timeoutSeconds}`,
      },
      ...(SHUT.has(kind) ? { accept: ONLY_METADATA } : {}),
    }
    for await (const line of this.#http.lines(asked, signal)) {
      const change = JSON.parse(line) as Told<K>
      if (change.type === 'ERROR') throw refusal(asked, change.object.code ?? 500, change.object)
      if (change.type === 'BOOKMARK')
        yield { type: 'BOOKMARK', version: change.object.metadata.resourceVersion ?? from.version }
      else yield { type: change.type, object: change.object }
    }
  }

  logLines(question: LogQuestion, signal: AbortSignal): AsyncIterable<string> {
    const { namespace, pod, container, follow, sinceTime, previous } = question
    return this.#http.lines(
      {
        verb: 'get',
        kind: 'pods',
        subresource: 'log',
        namespace,
        name: pod,
        method: 'GET',
        path: `${pathOf('pods', namespace, pod)}/log`,
        query: {
          container,
          timestamps: 'true',
          follow: follow ? 'true' : undefined,
          previous: previous === true ? 'true' : undefined,
          sinceTime,
        },
      },
      signal,
    )
  }

  #one<K extends Kind>(
    verb: string,
    method: string,
    kind: K,
    namespace: string,
    name: string,
    body?: Question['body'],
  ): Promise<Kinds[K]> {
    const path = pathOf(kind, namespace, method === 'POST' ? undefined : name)
    return this.#http.ask({
      verb,
      kind,
      namespace,
      name,
      method,
      path,
      ...(body === undefined ? {} : { body }),
      ...(SHUT.has(kind) ? { accept: ONLY_METADATA } : {}),
    }) as Promise<Kinds[K]>
  }
}

function pathOf(kind: Kind, namespace: string, name?: string): string {
  const folder = `${GROUPS[kind]}/namespaces/${encodeURIComponent(namespace)}/${kind}`
  return name === undefined ? folder : `${folder}/${encodeURIComponent(name)}`
}

function selectors(scope: Scope): Record<string, string | undefined> {
  return { labelSelector: scope.labels, fieldSelector: scope.fields }
}

function json(value: unknown): { type: string; value: unknown } {
  return { type: 'application/json', value }
}

function merge(value: object): { type: string; value: unknown } {
  return { type: 'application/merge-patch+json', value }
}
