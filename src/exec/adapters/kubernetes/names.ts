// What our objects in a cluster are called and labelled with. Names are DNS labels so short that the
// names of pods, which Kubernetes makes from them, are whole; a pool's name is also its id.

import { assert } from '../../../base/assert.ts'
import { isDnsLabel, isLabelValue } from '../../../model/spec-word.ts'

/** The pool's name: on the Deployment, its pods, and what else belongs to it. */
export const POOL_LABEL = 'varve.dev/pool'
/** The project, as far as a label can hold its name; the annotation of the same key holds it whole. */
export const PROJECT_LABEL = 'varve.dev/project'
/** Names itself on a Service of ours and on its policy: what carries it is known to be ours. */
export const SERVICE_LABEL = 'varve.dev/service'
/** Names what the object was made from: equal digests, nothing to do. */
export const DIGEST_ANNOTATION = 'varve.dev/digest'
/** Names of our own Secrets begin so; no pipeline may refer to one (model/spec-secrets.ts). */
export const OWN_PREFIX = 'varve-'

/** Containers of a worker pod. */
export const USER_CONTAINER = 'user'
export const AGENT_CONTAINER = 'agent'
export const TOOLS_CONTAINER = 'tools'

const MAX_SLUG_CHARS = 16
const MAX_SERVICE_SLUG_CHARS = 24
const DIGEST_CHARS = 20
// A ReplicaSet adds at most 11 characters to its Deployment's name, a pod 6 more.
const MAX_POOL_CHARS = 63 - 11 - 6

/** `varve-images-0f3a…`: the project for the reader, the digest for the rest. */
export function poolName(project: string, digest: string): string {
  const name = named(OWN_PREFIX, slugOf(project, MAX_SLUG_CHARS), digest)
  assert(isDnsLabel(name) && name.length <= MAX_POOL_CHARS, 'a pool has a name pods can be made of')
  return name
}

/** `varve-service-site-0f3a…`: the pipeline for the reader, the digest of it and its project for the rest. */
export function serviceName(pipeline: string, digest: string): string {
  const name = named(`${OWN_PREFIX}service-`, slugOf(pipeline, MAX_SERVICE_SLUG_CHARS), digest)
  assert(isDnsLabel(name), 'a service has a name of DNS')
  return name
}

/** The nearest value of a label. */
export function labelValue(text: string): string {
  const value = trimmed(text.replaceAll(/[^-_.A-Za-z0-9]+/g, '-'), 63)
  assert(isLabelValue(value), 'what was cut to a label is one')
  return value
}

/** Selects what carries all of these labels. */
export function labelSelector(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

function named(prefix: string, slug: string, digest: string): string {
  assert(/^[0-9a-f]{20,}$/.test(digest), 'a digest is hexadecimal')
  return `${prefix}${slug === '' ? '' : `${slug}-`}${digest.slice(0, DIGEST_CHARS)}`
}

function slugOf(text: string, most: number): string {
  return trimmed(text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'), most)
}

function trimmed(text: string, most: number): string {
  return text
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, most)
    .replace(/[^A-Za-z0-9]+$/, '')
}
