// What an answer of the API server that is not a success means, and what may be done about it.

import { VarveError } from '../../../base/errors.ts'
import type { ErrorCode } from '../../../base/errors.ts'

export type RefusalReason =
  /** It is not there (any more). */
  | 'gone'
  /** It is there already. */
  | 'exists'
  /** It changed since it was read: read again, decide again. */
  | 'conflict'
  /** The place a watch or a list continues from is forgotten: list again. */
  | 'expired'
  /** We lack a right; waiting does not help. */
  | 'denied'
  /** A quota of the namespace is used up. */
  | 'quota'
  /** The object is not allowed: pod security, a limit range, a webhook, a field that is wrong. */
  | 'refused'
  /** Nobody can say whether it was done: the connection broke, the answer is late or is not one. */
  | 'lost'

const CODES = {
  gone: 'STALE_STATE',
  exists: 'ALREADY_EXISTS',
  conflict: 'STALE_STATE',
  expired: 'STALE_STATE',
  denied: 'MISCONFIGURED',
  quota: 'QUOTA',
  refused: 'INVALID_SPEC',
  lost: 'UNAVAILABLE',
} as const satisfies Record<RefusalReason, ErrorCode>

export class KubernetesError extends VarveError {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string, options: { cause?: unknown } = {}) {
    super(CODES[reason], message, options)
    this.name = 'KubernetesError'
    this.reason = reason
  }
}

/** True for a KubernetesError with one of these reasons. */
export function isRefusal(
  error: unknown,
  ...reasons: readonly RefusalReason[]
): error is KubernetesError {
  return error instanceof KubernetesError && reasons.includes(error.reason)
}

/** What was asked, for messages. */
export interface Asked {
  /** The RBAC verb: get, list, watch, create, update, patch, delete. */
  readonly verb: string
  readonly kind: string
  readonly subresource?: string
  readonly namespace: string
  readonly name?: string
}

const GROUPS: Readonly<Record<string, string>> = {
  deployments: 'apps',
  networkpolicies: 'networking.k8s.io',
}

/** The refusal in an answer with this HTTP status. */
export function refusal(
  asked: Asked,
  status: number,
  said: { readonly message?: string; readonly reason?: string },
): KubernetesError {
  const text = said.message ?? `status ${status}`
  const reason = reasonOf(status, said.reason, text)
  if (reason === 'denied')
    return new KubernetesError(reason, `${cannot(asked)}: ${grant(asked, status)}`)
  return new KubernetesError(reason, `${cannot(asked)}: ${text}`)
}

/** The error of a question that got no answer. */
export function lost(asked: Asked, error: unknown): KubernetesError {
  if (error instanceof KubernetesError) return error
  const { code, message } = error as { code?: string; message?: string }
  return new KubernetesError(
    'lost',
    `${cannot(asked)}: the API server did not answer (${code ?? message ?? 'no cause'})`,
    { cause: error },
  )
}

function reasonOf(status: number, reason: string | undefined, text: string): RefusalReason {
  if (status === 404) return 'gone'
  if (status === 409) return reason === 'AlreadyExists' ? 'exists' : 'conflict'
  if (status === 410) return 'expired'
  if (status === 401) return 'denied'
  if (status === 403) {
    if (/exceeded quota|failed quota/.test(text)) return 'quota'
    return /is forbidden: User "|cannot \w+ resource/.test(text) ? 'denied' : 'refused'
  }
  if (status === 400 || status === 405 || status === 413 || status === 415 || status === 422)
    return 'refused'
  // 429, 5xx and whatever a proxy on the way may say: try again later.
  return 'lost'
}

function cannot(asked: Asked): string {
  const what = asked.subresource === undefined ? asked.kind : `${asked.kind}/${asked.subresource}`
  const name = asked.name === undefined ? '' : ` "${asked.name}"`
  return `cannot ${asked.verb} ${what}${name} of namespace "${asked.namespace}"`
}

function grant(asked: Asked, status: number): string {
  if (status === 401)
    return 'the API server does not know who we are; renew the kubeconfig or token'
  const resource = [asked.kind, asked.subresource].filter((part) => part !== undefined).join('/')
  return `our service account may not; give its Role the verb "${asked.verb}" on "${resource}" of API group "${GROUPS[asked.kind] ?? ''}"`
}
