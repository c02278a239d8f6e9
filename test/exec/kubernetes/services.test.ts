import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { deploymentOf } from '../../../src/exec/adapters/kubernetes/deployment.ts'
import { OWN_PREFIX, POOL_LABEL } from '../../../src/exec/adapters/kubernetes/names.ts'
import type { NetworkPolicy, Service } from '../../../src/exec/adapters/kubernetes/objects.ts'
import {
  isPolicyRight,
  policyOf,
  serviceChange,
  serviceOf,
} from '../../../src/exec/adapters/kubernetes/service-objects.ts'
import type { WantedService } from '../../../src/exec/adapters/kubernetes/service-objects.ts'
import { agentOf } from '../../../src/exec/adapters/kubernetes/settings.ts'
import type { PoolSettings } from '../../../src/exec/adapters/kubernetes/settings.ts'
import { shapeOf } from '../../../src/exec/adapters/kubernetes/shape.ts'
import { wantedOf } from '../../../src/exec/adapters/kubernetes/wanted.ts'
import { parsePipelineDocument } from '../../../src/model/spec-pipeline.ts'
import type { PipelineSpec } from '../../../src/model/spec-pipeline.ts'
import { isDnsLabel } from '../../../src/model/spec-word.ts'
import { violations } from './restricted.ts'
import { projects as names } from './specs.ts'

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const SETTINGS: PoolSettings = {
  namespace: 'workers',
  image: 'varve:1',
  api: { url: 'http://varve:7070', to: { pods: { role: 'api' } }, port: 7070 },
}

function specOf(name: string, service: object | undefined, image = 'site:1'): PipelineSpec {
  return parsePipelineDocument({
    pipeline: { name },
    transform: { image, cmd: ['/serve'] },
    input: { pfs: { repo: 'pages', glob: '/' } },
    ...(service && { service }),
  })
}
const pool = (project: string, spec: PipelineSpec): string =>
  shapeOf(project, spec, { digest }).name
const wanted = (...of: readonly (readonly [string, PipelineSpec])[]): readonly WantedService[] =>
  wantedOf(
    of.map(([project, spec]) => ({ project, spec, queued: 0, running: 0 })),
    { settings: SETTINGS, owner: undefined, digest },
  ).services

test('a service has a pool of its own; a pool that is of none keeps the name it always had', () => {
  expect(pool('default', specOf('site', undefined, 'edges:1'))).toBe(
    'varve-default-75a79615bae2ecbf4637',
  )
  const site = specOf('site', { internalPort: 8080 })
  const others = [
    pool('default', specOf('site', undefined)),
    pool('default', specOf('shop', { internalPort: 8080 })),
    pool('default', specOf('site', { internalPort: 8081 })),
    pool('default', specOf('site', { internalPort: 8080 }, 'site:2')),
    pool('other', site),
  ]
  expect(new Set([pool('default', site), ...others]).size).toBe(others.length + 1)
  // What only the Service has leaves the pods alone.
  const type = specOf('site', { internalPort: 8080, externalPort: 80, type: 'NodePort' })
  expect(pool('default', type)).toBe(pool('default', site))
})

test('its pods open the port and keep the restricted standard; nothing asks them for readiness', () => {
  const options = { namespace: 'workers', replicas: 0, labels: {}, digest, graceSeconds: 30 }
  const shape = shapeOf('p', specOf('site', { internalPort: 8080 }), { digest })
  const pods = { agent: agentOf(SETTINGS), apiUrl: 'http://varve', tokenSecret: shape.name }
  const { spec } = deploymentOf(shape, { ...options, ...pods }).spec.template
  const open = spec.containers.map(({ name, ports }) => [name, ports])
  expect(open).toEqual([
    ['user', [{ containerPort: 8080, protocol: 'TCP' }]],
    ['agent', undefined],
  ])
  expect(violations({ ...spec })).toEqual([])
  expect(JSON.stringify(spec)).not.toContain('Probe')
})

test('of any two pipelines: names of DNS, of ours, and never the same', () => {
  const pairs = fc.uniqueArray(fc.tuple(names, names), {
    minLength: 2,
    maxLength: 2,
    selector: ([project, name]) => `${project} ${name}`,
  })
  fc.assert(
    fc.property(pairs, (both) => {
      const made = wanted(
        ...both.map(([project, name]) => [project, specOf(name, { internalPort: 8080 })] as const),
      )
      for (const { name } of made) {
        expect(name).toSatisfy(isDnsLabel)
        expect(name.startsWith(`${OWN_PREFIX}service-`)).toBe(true)
      }
      expect(new Set(made.map(({ name }) => name)).size).toBe(2)
    }),
  )
})

test('the service is of the pipeline as it stands, whatever its jobs were planned with', () => {
  const now = specOf('site', { internalPort: 8080 }, 'site:2')
  const before = specOf('site', { internalPort: 9090 })
  const made = wanted(['p', now], ['p', specOf('plain', undefined)], ['p', before])
  expect(made).toMatchObject([
    { pipeline: 'site', pool: pool('p', now), spec: { internalPort: 8080 } },
  ])
  expect(wanted(['p', before])[0]?.name).toBe(made[0]?.name)
  expect(wanted(['p', specOf('site', undefined)], ['p', before])).toEqual([])
})

const SITE = specOf('site', {
  internalPort: 8080,
  externalPort: 80,
  annotations: { team: 'web', owner: 'kim' },
})
const OPTIONS = { namespace: 'workers', labels: { app: 'varve' }, owner: undefined }
const [ONE] = wanted(['p', SITE]) as readonly [WantedService]
const SERVICE = serviceOf(ONE, OPTIONS)
const GIVEN = { clusterIP: '10.96.0.7', sessionAffinity: 'None', ipFamilyPolicy: 'SingleStack' }
/** As a cluster has it: addresses, ports of nodes, what others wrote. */
const LISTED: Service = {
  ...SERVICE,
  metadata: {
    ...SERVICE.metadata,
    uid: 'u',
    annotations: { ...SERVICE.metadata.annotations, 'cloud.example/balancer': 'b-1' },
  },
  spec: {
    ...SERVICE.spec,
    ...GIVEN,
    ports: SERVICE.spec.ports.map((one) => ({ ...one, nodePort: 30_080 })),
  },
}

test('what the cluster and others write into a Service is left alone', () => {
  expect(serviceChange(LISTED, SERVICE)).toBeUndefined()
})

const spoilt: readonly (readonly [string, Partial<Service['spec']>])[] = [
  ['leads to other pods', { selector: { [POOL_LABEL]: 'other' } }],
  ['leads to fewer pods', { selector: { ...SERVICE.spec.selector, more: '1' } }],
  ['is of another type', { type: 'LoadBalancer' }],
  ['has another port', { ports: [{ protocol: 'TCP', port: 81, targetPort: 8080 }] }],
  ['leads to another port', { ports: [{ protocol: 'TCP', port: 80, targetPort: 8081 }] }],
  ['has a port more', { ports: [...SERVICE.spec.ports, { protocol: 'TCP', port: 22 }] }],
]
test.each(spoilt)('a Service that %s is put right', (_, spec) => {
  const listed = { ...LISTED, spec: { ...LISTED.spec, ...spec } }
  expect(serviceChange(listed, SERVICE)).toMatchObject({ metadata: { uid: 'u' } })
})

test('what somebody added to the selector goes, and annotations that are no longer given; no others', () => {
  const [fewer] = wanted([
    'p',
    specOf('site', { internalPort: 8080, annotations: { team: 'web' } }),
  ]) as readonly [WantedService]
  const listed = {
    ...LISTED,
    spec: { ...LISTED.spec, selector: { ...SERVICE.spec.selector, more: '1' } },
  }
  const change = serviceChange(listed, serviceOf(fewer, OPTIONS))
  expect(change?.spec.selector).toEqual({ [POOL_LABEL]: ONE.pool, app: 'varve', more: null })
  expect(change?.metadata.annotations).toMatchObject({ team: 'web', owner: null })
  expect(Object.keys(change?.metadata.annotations ?? {})).not.toContain('cloud.example/balancer')
})

test('the policy opens the one port of those pods, and is put right when it does more or less', () => {
  const policy = policyOf(ONE, OPTIONS)
  expect(policy.spec).toEqual({
    podSelector: { matchLabels: { [POOL_LABEL]: ONE.pool, app: 'varve' } },
    policyTypes: ['Ingress'],
    ingress: [{ ports: [{ protocol: 'TCP', port: 8080 }] }],
  })
  const listed: NetworkPolicy = policy
  expect(isPolicyRight(listed, policy)).toBe(true)
  const changes: readonly NetworkPolicy['spec'][] = [
    { ingress: [{}] },
    { policyTypes: ['Ingress', 'Egress'] },
    { egress: [{}] },
    { podSelector: {} },
  ]
  for (const spec of changes)
    expect(isPolicyRight({ ...listed, spec: { ...listed.spec, ...spec } }, policy)).toBe(false)
  const metadata = { ...policy.metadata, labels: {} }
  expect(isPolicyRight({ ...listed, metadata }, policy)).toBe(false)
})
