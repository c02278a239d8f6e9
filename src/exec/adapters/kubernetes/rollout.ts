// What is to be done so that a Deployment is as it should be, and why. Pure.

import { isDeepStrictEqual } from 'node:util'
import type { Deployment } from './objects.ts'

export type Rollout =
  | { readonly step: 'none' }
  | { readonly step: 'create'; readonly object: Deployment; readonly why: string }
  | { readonly step: 'replace'; readonly object: Deployment; readonly why: string }
  /** It cannot be changed into what is wanted: it goes, and is made anew when it is gone. */
  | { readonly step: 'remake'; readonly why: string }

/**
 * `digest` is the annotation that names what the object was made from; equal digests need nothing, so
 * that defaults the cluster filled in are never fought over. The number of pods is not ours here.
 */
export function rolloutOf(
  wanted: Deployment,
  listed: Deployment | undefined,
  given: { readonly digest: string; readonly busyPods: number; readonly replicas: number },
): Rollout {
  if (listed === undefined)
    return {
      step: 'create',
      object: { ...wanted, spec: { ...wanted.spec, replicas: given.replicas } },
      why: 'it is not there',
    }
  const [now, then] = [wanted, listed].map((one) => one.metadata.annotations?.[given.digest])
  if (now === then || listed.metadata.deletionTimestamp !== undefined) return { step: 'none' }
  if (!isDeepStrictEqual(wanted.spec?.selector, listed.spec?.selector))
    return { step: 'remake', why: 'its selector is another, which a Deployment cannot change' }
  // One at a time and none in addition: a cap is not passed, and at most one pod's work is begun anew.
  const rolling = given.busyPods > 0
  const strategy = rolling
    ? { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }
    : { type: 'Recreate' }
  const object: Deployment = {
    ...wanted,
    metadata: {
      ...wanted.metadata,
      annotations: { ...listed.metadata.annotations, ...wanted.metadata.annotations },
      ...(listed.metadata.resourceVersion === undefined
        ? {}
        : { resourceVersion: listed.metadata.resourceVersion }),
    },
    spec: { ...wanted.spec, replicas: listed.spec?.replicas ?? 0, strategy },
  }
  const why = rolling
    ? `its spec changed; ${given.busyPods} pods work, so one after the other is replaced`
    : 'its spec changed; no pod works, so all are replaced at once'
  return { step: 'replace', object, why }
}

/** False while pods of an older template are still there. */
export function isSettled(listed: Deployment | undefined): boolean {
  const status = listed?.status
  if (listed === undefined || status === undefined) return true
  if ((status.observedGeneration ?? 0) < (listed.metadata.generation ?? 0)) return true
  return (status.updatedReplicas ?? 0) >= (status.replicas ?? 0)
}
