// What workers are called in leases and beats. A name is never used twice: what an earlier process of
// the same host held is not this one's.
//
//   <host>-<incarnation>-<index>                              of one process
//   <host>-<incarnation>-<index>@<workspace>/<pool>/<token>   as the server calls it

import type { Id } from './id.ts'

const MAX_HOST_CHARS = 63

export function workerName(host: string, incarnation: Id, index: number): string {
  const plain = host.replaceAll(/[^A-Za-z0-9.-]/g, '-').slice(0, MAX_HOST_CHARS)
  return `${plain}-${incarnation}-${index}`
}

/** The host of a worker (in a pod: the pod's name), or undefined when the name is none of ours. */
export function hostOf(owner: string): string | undefined {
  const [name = ''] = owner.split('@')
  return /^(.+)-[^-]+-\d+$/.exec(name)?.[1]
}

/** The pool a worker has a token for; undefined: it is a loop of a server. */
export function poolOfOwner(owner: string): string | undefined {
  return owner.split('@')[1]?.split('/')[1]
}
