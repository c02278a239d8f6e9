import { expect, test } from 'vitest'
import { POOL_LABEL } from '../../../src/exec/adapters/kubernetes/names.ts'
import { networkPolicyOf } from '../../../src/exec/adapters/kubernetes/network-policy.ts'
import type {
  Door,
  NetworkPolicyOptions,
  Peer,
} from '../../../src/exec/adapters/kubernetes/network-policy.ts'

const OPTIONS: NetworkPolicyOptions = {
  name: 'varve-workers',
  namespace: 'workers',
  labels: { 'app.kubernetes.io/instance': 'main' },
  api: {
    to: {
      namespace: { 'kubernetes.io/metadata.name': 'varve' },
      pods: { 'app.kubernetes.io/component': 'api' },
    },
    ports: [7070],
  },
}

test('worker pods reach the API and name servers, and nobody reaches them', () => {
  const { spec } = networkPolicyOf(OPTIONS)
  expect(spec).toEqual({
    podSelector: {
      matchLabels: OPTIONS.labels,
      matchExpressions: [{ key: POOL_LABEL, operator: 'Exists' }],
    },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [],
    egress: [
      {
        to: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'varve' } },
            podSelector: { matchLabels: { 'app.kubernetes.io/component': 'api' } },
          },
        ],
        ports: [{ protocol: 'TCP', port: 7070 }],
      },
      {
        to: [
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } },
        ],
        ports: [
          { protocol: 'UDP', port: 53 },
          { protocol: 'TCP', port: 53 },
        ],
      },
    ],
  })
})

test('what the operator names is added, without the addresses that give out credentials of nodes', () => {
  const block = (cidr: string, except?: readonly string[]): unknown => {
    const allow: Door[] = [{ to: except ? { cidr, except } : { cidr }, ports: [443] }]
    return networkPolicyOf({ ...OPTIONS, allow }).spec.egress[1]?.to[0]?.ipBlock
  }
  expect(block('10.1.0.0/16')).toEqual({ cidr: '10.1.0.0/16' })
  expect(block('0.0.0.0/0', ['10.0.0.0/8'])).toEqual({
    cidr: '0.0.0.0/0',
    except: ['10.0.0.0/8', '169.254.0.0/16'],
  })
  expect(block('169.0.0.0/8')).toEqual({ cidr: '169.0.0.0/8', except: ['169.254.0.0/16'] })
  expect(block('::/0')).toEqual({ cidr: '::/0', except: ['fe80::/10', 'fd00:ec2::254/128'] })
  expect(block('2001:db8::/32')).toEqual({ cidr: '2001:db8::/32' })
})

test.each<[string, Peer, number[]]>([
  ['no ports', { cidr: '10.1.0.0/16' }, []],
  ['port 0', { cidr: '10.1.0.0/16' }, [0]],
  ['port 65536', { cidr: '10.1.0.0/16' }, [65_536]],
  ['a part of a port', { cidr: '10.1.0.0/16' }, [1.5]],
  ['every pod', { pods: {} }, [443]],
  ['every namespace', { namespace: {} }, [443]],
  ['every pod of a namespace, by mistake', { namespace: { a: 'b' }, pods: {} }, [443]],
  ['a name for a block', { cidr: 'example.com' }, [443]],
  ['an address for a block', { cidr: '10.0.0.1' }, [443]],
  ['a block past its bits', { cidr: '10.0.0.0/33' }, [443]],
  ['a block in octal', { cidr: '010.0.0.0/8' }, [443]],
  ['a block of 999', { cidr: '10.0.0.999/8' }, [443]],
  ['credentials of nodes', { cidr: '169.254.169.254/32' }, [80]],
  ['all that is link-local', { cidr: '169.254.0.0/16' }, [80]],
  ['credentials of nodes by IPv6', { cidr: 'fd00:ec2::254/128' }, [80]],
  ['half of IPv6', { cidr: '8000::/1' }, [80]],
])('a door to %s is refused', (_, to, ports) => {
  expect(() => networkPolicyOf({ ...OPTIONS, allow: [{ to, ports }] })).toThrow(
    /in a network policy/,
  )
})
