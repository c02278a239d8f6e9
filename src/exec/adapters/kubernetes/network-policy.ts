// The NetworkPolicy of all worker pods of a namespace: out to the API and to name servers, and to what
// the operator names; in from nowhere. It holds for a pod's network, so for user code and agent alike.

import { VarveError } from '../../../base/errors.ts'
import { POOL_LABEL } from './names.ts'
import type { OwnerReference } from './objects.ts'

type Texts = Readonly<Record<string, string>>

/** Whom packets may go to: pods by labels, or addresses. */
export type Peer =
  | { readonly namespace: Texts; readonly pods?: Texts }
  | { readonly pods: Texts }
  | { readonly cidr: string; readonly except?: readonly string[] }

export interface Door {
  readonly to: Peer
  /** TCP. */
  readonly ports: readonly number[]
}

export interface NetworkPolicyOptions {
  readonly name: string
  readonly namespace: string
  readonly labels: Texts
  readonly api: Door
  /** Name servers; port 53. Default: whatever serves names in the namespace kube-system. */
  readonly dns?: Peer
  /** What the operator lets code reach besides. */
  readonly allow?: readonly Door[]
  readonly owner?: OwnerReference
}

interface Selector {
  readonly matchLabels: Texts
}

export interface PeerObject {
  readonly namespaceSelector?: Selector
  readonly podSelector?: Selector
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] }
}

export interface EgressRule {
  readonly to: readonly PeerObject[]
  readonly ports: readonly { readonly protocol: 'TCP' | 'UDP'; readonly port: number }[]
}

export interface NetworkPolicyObject {
  readonly apiVersion: 'networking.k8s.io/v1'
  readonly kind: 'NetworkPolicy'
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly labels: Texts
    readonly ownerReferences?: readonly OwnerReference[]
  }
  readonly spec: {
    readonly podSelector: {
      readonly matchLabels: Texts
      readonly matchExpressions: readonly { readonly key: string; readonly operator: 'Exists' }[]
    }
    readonly policyTypes: readonly ['Ingress', 'Egress']
    readonly ingress: readonly []
    readonly egress: readonly EgressRule[]
  }
}

const KUBE_SYSTEM: Peer = { namespace: { 'kubernetes.io/metadata.name': 'kube-system' } }
const DNS_PORT = 53

/** @throws VarveError INVALID_OPTION on a door that lets everything through, or leads nowhere */
export function networkPolicyOf(options: NetworkPolicyOptions): NetworkPolicyObject {
  const { name, namespace, labels, api, allow = [], dns = KUBE_SYSTEM, owner } = options
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: {
      name,
      namespace,
      labels,
      ...(owner !== undefined && { ownerReferences: [owner] }),
    },
    spec: {
      podSelector: {
        matchLabels: labels,
        matchExpressions: [{ key: POOL_LABEL, operator: 'Exists' }],
      },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [],
      egress: [
        ...[api, ...allow].map(ruleOf),
        {
          to: [peerOf(dns)],
          ports: [
            { protocol: 'UDP', port: DNS_PORT },
            { protocol: 'TCP', port: DNS_PORT },
          ],
        },
      ],
    },
  }
}

// An empty list of ports or an empty selector means "all" to Kubernetes; here it is a mistake.
function ruleOf({ to, ports }: Door): EgressRule {
  if (ports.length === 0) refuse('a door without ports', 'name the ports')
  for (const port of ports)
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      refuse(`the port ${port}`, 'it is none')
  return { to: [peerOf(to)], ports: ports.map((port) => ({ protocol: 'TCP', port })) }
}

function peerOf(peer: Peer): PeerObject {
  if ('cidr' in peer) return blockOf(peer.cidr, peer.except ?? [])
  const namespace = 'namespace' in peer ? peer.namespace : undefined
  for (const labels of [namespace, peer.pods])
    if (labels !== undefined && Object.keys(labels).length === 0)
      refuse('a selector without labels', 'name the labels: it would mean everything')
  return {
    ...(namespace !== undefined && { namespaceSelector: { matchLabels: namespace } }),
    ...(peer.pods !== undefined && { podSelector: { matchLabels: peer.pods } }),
  }
}

// Where clouds tell every machine the credentials of its node: never for user code.
const METADATA_V4 = { block: '169.254.0.0/16', first: ipv4('169.254.0.0') ?? 0, bits: 16 }
const METADATA_V6 = ['fe80::/10', 'fd00:ec2::254/128']

function blockOf(cidr: string, except: readonly string[]): PeerObject {
  const [address = '', length = '', ...more] = cidr.split('/')
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : -1
  const v4 = ipv4(address)
  const v6 = v4 === undefined && /^[0-9a-f:]*:[0-9a-f:]*$/i.test(address)
  if (more.length > 0 || (v4 === undefined && !v6) || bits < 0 || bits > (v6 ? 128 : 32))
    return refuse(`"${cidr}" as a block of addresses`, 'write it as 10.1.0.0/16')
  const added: string[] = []
  if (v4 !== undefined) {
    const inside = bits >= METADATA_V4.bits && prefix(v4, METADATA_V4.bits) === METADATA_V4.first
    if (inside) refuse(`"${cidr}" as a block of addresses`, 'it holds credentials of nodes')
    if (prefix(METADATA_V4.first, bits) === prefix(v4, bits)) added.push(METADATA_V4.block)
  } else if (bits === 0) added.push(...METADATA_V6)
  else if (
    bits < 8 ||
    /^fe[89ab]|^fd00:ec2:/i.test(address) ||
    (bits < 32 && /^f[cde]/i.test(address))
  )
    refuse(
      `"${cidr}" as a block of addresses`,
      'it may hold credentials of nodes; name a smaller one',
    )
  const all = [...new Set([...except, ...added])]
  return { ipBlock: { cidr, ...(all.length > 0 && { except: all }) } }
}

function ipv4(text: string): number | undefined {
  if (!/^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})$/.test(text)) return undefined
  const parts = text.split('.').map(Number)
  return parts.every((part) => part < 256)
    ? parts.reduce((sum, part) => sum * 256 + part, 0)
    : undefined
}

/** The first `bits` bits of an address, the others 0. */
function prefix(address: number, bits: number): number {
  const size = 2 ** (32 - bits)
  return Math.floor(address / size) * size
}

function refuse(what: string, why: string): never {
  throw new VarveError('INVALID_OPTION', `cannot use ${what} in a network policy: ${why}`)
}
