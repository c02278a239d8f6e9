// The token of a worker. It says for which pool and until when; it opens the routes of workers and
// nothing else, because no other route knows its key.

import { VarveError } from '../base/errors.ts'
import { deriveKey, seal, unseal } from './sealed.ts'

export interface WorkerGrant {
  readonly workspace: string
  readonly pool: string
  /** Of the pool: a pool made again under its old name has another. */
  readonly incarnation: string
  readonly expiresAtMs: number
}

const PREFIX = 'vw1.'

/** @param secret the cluster's, at least 32 characters */
export function workerTokenKey(secret: string): Uint8Array {
  return deriveKey(secret, 'varve worker token v1')
}

export function signWorkerToken(key: Uint8Array, grant: WorkerGrant): string {
  const { workspace, pool, incarnation, expiresAtMs } = grant
  return PREFIX + seal(key, { w: workspace, p: pool, i: incarnation, e: expiresAtMs })
}

/** @throws VarveError UNAUTHENTICATED: it is none, or its time is over; the token itself is not said */
export function verifyWorkerToken(key: Uint8Array, token: string, nowMs: number): WorkerGrant {
  const value = token.startsWith(PREFIX) ? unseal(key, token.slice(PREFIX.length)) : undefined
  if (value === undefined)
    throw new VarveError(
      'UNAUTHENTICATED',
      'cannot let the worker in: its token is not one of this cluster; "varve worker-token" makes one',
    )
  const { w, p, i, e } = value as { w: string; p: string; i: string; e: number }
  if (nowMs >= e)
    throw new VarveError(
      'UNAUTHENTICATED',
      `cannot let the worker in: its token for the pool "${p}" ran out at ${new Date(e).toISOString()}; "varve worker-token" makes another`,
    )
  return { workspace: w, pool: p, incarnation: i, expiresAtMs: e }
}

/** @throws VarveError FORBIDDEN */
export function refuseOtherPool(grant: WorkerGrant, pool: string): void {
  if (grant.pool !== pool)
    throw new VarveError(
      'FORBIDDEN',
      `cannot work for the pool "${pool}": the token is for the pool "${grant.pool}"`,
    )
}
