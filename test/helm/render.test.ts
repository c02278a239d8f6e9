// Each profile rendered, and every object held against what it promises.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROLES } from '../../src/config/options.ts'
import type { OptionsOf, Program } from '../../src/config/options.ts'
import { parseOptions } from '../../src/config/parse.ts'
import { readPoolSettings } from '../../src/config/pool-settings.ts'
import type { PoolSettings } from '../../src/config/pool-settings.ts'
import { POOL_LABEL } from '../../src/exec/adapters/kubernetes/names.ts'
import { CHART, helm, helmAvailable, helmBinary } from '../services/helm.ts'
import { named, podsOf, profile, render } from './rendered.ts'
import type { Container, Labels, Rendered, RenderedPod } from './rendered.ts'

const BUILD_MS = 900_000
const PROFILES = ['cluster', 'embedded', 'everything'] as const
type Profile = (typeof PROFILES)[number]

const folder = mkdtempSync(join(tmpdir(), 'varve-helm-'))
/** What stands for the content of any secret: long enough for each. */
const SECRET = 'a secret of the tests, of at least 32 characters'
const secretFile = join(folder, 'secret')
const objects = new Map<Profile, readonly Rendered[]>()

beforeAll(async () => {
  writeFileSync(secretFile, SECRET)
  if (!helmAvailable) return
  await helmBinary()
  for (const one of PROFILES) objects.set(one, await render(one))
}, BUILD_MS)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const of = (one: Profile): readonly Rendered[] => objects.get(one) ?? []
const pods = (one: Profile): RenderedPod[] => podsOf(of(one))
const podOf = (one: Profile, name: string): RenderedPod => {
  const found = pods(one).find((pod) => pod.of === name)
  if (!found) throw new Error(`there is no ${name}`)
  return found
}
const only = ({ spec }: RenderedPod): Container => {
  expect(spec.containers).toHaveLength(1)
  return spec.containers[0] as Container
}

/** What the program in it makes of its variables and flags, by its own parser. */
function started<P extends Program>(program: P, { args, env }: Container): OptionsOf<P> {
  const values = env.map(({ name, value, valueFrom }): [string, string] => {
    if (name.endsWith('_FILE')) return [name, secretFile]
    return [name, valueFrom ? (valueFrom.fieldRef?.fieldPath ?? SECRET) : (value ?? '')]
  })
  expect(args[0]).toBe(program)
  const flags = args[1] === '--roles' ? { roles: args[2] } : {}
  return parseOptions(program, Object.fromEntries(values), flags)
}

/** The file that the option `pools` names, as the processes read it. */
function settingsOfPools(all: readonly Rendered[], name: string): PoolSettings {
  const { data } = named(all, 'ConfigMap', `${name}-pools`) as unknown as {
    data: { 'pools.json': string }
  }
  const file = join(folder, 'pools.json')
  writeFileSync(file, data['pools.json'])
  return readPoolSettings(file)
}

const selects = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value)

describe.skipIf(!helmAvailable)('helm', () => {
  test.each(PROFILES)('lint: %s', async (one) => {
    const { ok, stdout, stderr } = await helm(['lint', '--strict', CHART, '-f', profile(one)])
    expect(ok, stdout + stderr).toBe(true)
  })

  describe.each(PROFILES)('%s', (one) => {
    test('every pod keeps the restricted standard', () => {
      expect(pods(one).length).toBeGreaterThan(1)
      for (const pod of pods(one)) {
        expect(pod.spec.securityContext, pod.of).toMatchObject({
          runAsNonRoot: true,
          runAsUser: 10_001,
          seccompProfile: { type: 'RuntimeDefault' },
        })
        expect(only(pod).securityContext, pod.of).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          runAsNonRoot: true,
          capabilities: { drop: ['ALL'] },
          seccompProfile: { type: 'RuntimeDefault' },
        })
        const kinds = pod.spec.volumes.flatMap((volume) => Object.keys(volume))
        expect(kinds, pod.of).not.toContain('hostPath')
      }
    })

    test('only a scheduler that keeps pools has a token of Kubernetes; nobody hears of services', () => {
      const withToken = pods(one).filter(({ spec }) => spec.automountServiceAccountToken)
      const keeper = one === 'everything' ? ['Deployment streams-scheduler'] : []
      expect(withToken.map((pod) => pod.of)).toEqual(keeper)
      for (const { spec } of pods(one)) expect(spec.enableServiceLinks).toBe(false)
    })

    test('secrets are named and never held', () => {
      expect(of(one).filter(({ kind }) => kind === 'Secret')).toEqual([])
      for (const pod of pods(one))
        for (const { name, value } of only(pod).env)
          if (/TOKEN|SECRET|PASSWORD/.test(name))
            expect(value, `${pod.of} ${name}`).toMatch(/^\/etc\/varve\//)
    })

    test('every file a variable names lies below a mount, and every mount has its volume', () => {
      for (const pod of pods(one)) {
        const { env, volumeMounts } = only(pod)
        const volumes = pod.spec.volumes.map(({ name }) => name)
        expect(new Set(volumes).size, pod.of).toBe(volumes.length)
        expect(new Set(volumeMounts.map(({ name }) => name)), pod.of).toEqual(new Set(volumes))
        for (const { name, value } of env) {
          if (!value?.startsWith('/etc/')) continue
          const below = volumeMounts.filter(({ mountPath }) => value.startsWith(`${mountPath}/`))
          expect(below, `${pod.of} ${name}`).toHaveLength(1)
        }
      }
    })

    test('memory has a limit everywhere', () => {
      for (const pod of pods(one)) expect(only(pod).resources.limits['memory'], pod.of).toBeTruthy()
    })

    test('selectors select what they are meant for', () => {
      for (const { kind, metadata, spec } of of(one)) {
        const labelled = (selector: Labels): string[] =>
          pods(one)
            .filter(({ labels }) => selects(selector, labels))
            .map((pod) => pod.of)
        if (kind === 'Deployment') {
          const { matchLabels } = spec['selector'] as { matchLabels: Labels }
          expect(labelled(matchLabels)).toEqual([`Deployment ${metadata.name}`])
        }
        if (kind === 'PodDisruptionBudget') {
          const { matchLabels } = spec['selector'] as { matchLabels: Labels }
          expect(labelled(matchLabels)).toEqual([`Deployment ${metadata.name}`])
        }
        if (kind === 'Service' && !metadata.name.endsWith('-metrics')) {
          const api = one === 'embedded' ? metadata.name : `${metadata.name}-api`
          expect(labelled(spec['selector'] as Labels)).toEqual([`Deployment ${api}`])
        }
      }
    })

    test('every object stands in a namespace and carries the common labels', () => {
      for (const { kind, metadata } of of(one)) {
        expect(metadata.namespace, `${kind} ${metadata.name}`).toBeTruthy()
        expect(metadata.labels, `${kind} ${metadata.name}`).toMatchObject({
          'app.kubernetes.io/name': 'varve',
          'app.kubernetes.io/instance': 'varve',
          'app.kubernetes.io/managed-by': 'Helm',
        })
      }
    })
  })

  test('a role is a Deployment whose process starts with what it is given', () => {
    for (const role of ROLES) {
      const container = only(podOf('cluster', `Deployment varve-${role}`))
      expect(started('serve', container)).toMatchObject({
        roles: [role],
        host: '0.0.0.0',
        port: 7070,
        kafka: ['kafka:9092'],
        cassandra: ['cassandra:9042'],
        s3Bucket: 'varve',
        token: SECRET,
        clusterSecret: SECRET,
      })
    }
  })

  test('every option and secret arrives under its name', () => {
    expect(started('serve', only(podOf('everything', 'Deployment streams-log')))).toMatchObject({
      kafka: ['broker-1:9093', 'broker-2:9093'],
      kafkaConfig: '/etc/varve/kafka/client.properties',
      topicPrefix: 'streams',
      cassandra: ['cassandra-1:9042', 'cassandra-2:9042'],
      cassandraDatacenter: 'dc1',
      cassandraUsername: SECRET,
      cassandraPassword: SECRET,
      cassandraCa: '/etc/varve/cassandra/ca.crt',
      s3Endpoint: 'https://s3.example',
      s3AccessKey: SECRET,
      s3SecretKey: SECRET,
      s3PathStyle: true,
      startPatienceSeconds: 300,
      logLevel: 'warn',
      maxUploadBytes: 2 ** 40,
    })
  })

  test('an api pod is reached by its own address, the others name the one of all', () => {
    const advertised = (pod: RenderedPod): string | undefined =>
      only(pod).env.find(({ name }) => name === 'VARVE_ADVERTISE')?.value
    expect(advertised(podOf('everything', 'Deployment streams-api'))).toBe('http://$(POD_IP):7070')
    expect(advertised(podOf('everything', 'Deployment streams-events'))).toBe(
      'https://varve.example',
    )
    const inside = 'http://streams.streams.svc:7070'
    expect(advertised(podOf('everything', 'Deployment streams-scheduler'))).toBe(inside)
  })

  test('the trial is one pod that starts with nothing', () => {
    const container = only(podOf('embedded', 'Deployment varve'))
    expect(container.args).toEqual(['dev', '--demo'])
    expect(started('dev', { ...container, args: ['dev'] })).toMatchObject({
      host: '0.0.0.0',
      port: 7070,
      data: '.varve',
    })
    expect(container).toMatchObject({ workingDir: '/data' })
    expect(of('embedded').map(({ kind }) => kind)).not.toContain('PersistentVolumeClaim')
  })

  test('the trial keeps its data in a claim when told to', async () => {
    const kept = await render('embedded', 'embedded.persistence.enabled=true')
    expect(named(kept, 'PersistentVolumeClaim', 'varve').spec).toMatchObject({
      resources: { requests: { storage: '10Gi' } },
    })
    expect(podsOf(kept).find((pod) => pod.of === 'Deployment varve')?.spec.volumes).toContainEqual({
      name: 'data',
      persistentVolumeClaim: { claimName: 'varve' },
    })
  })

  test('a start may take its patience, then probes watch it; an end has time to drain', () => {
    const serving = [
      ...pods('everything').filter((pod) => pod.of.startsWith('Deployment')),
      podOf('embedded', 'Deployment varve'),
    ]
    expect(serving).toHaveLength(ROLES.length + 1)
    for (const pod of serving) {
      const { startupProbe, livenessProbe, readinessProbe, ports } = only(pod)
      const at = (path: string): object => ({ httpGet: { path, port: 'http' } })
      expect(ports, pod.of).toEqual([{ name: 'http', containerPort: 7070 }])
      expect(startupProbe, pod.of).toMatchObject(at('/livez'))
      expect(livenessProbe, pod.of).toMatchObject(at('/livez'))
      expect(readinessProbe, pod.of).toMatchObject(at('/readyz'))
      const mayTake = (startupProbe?.periodSeconds ?? 0) * (startupProbe?.failureThreshold ?? 0)
      expect(mayTake, pod.of).toBeGreaterThanOrEqual(pod.of === 'Deployment varve' ? 60 : 360)
      // 2 s of notice and 20 s of draining (src/main/cluster.ts), and time to close.
      expect(pod.spec.terminationGracePeriodSeconds, pod.of).toBe(30)
    }
  })

  test('preflight runs before anything else, with what the roles are given', () => {
    const job = named(of('everything'), 'Job', 'streams-preflight')
    expect(job.metadata.annotations).toMatchObject({
      'helm.sh/hook': 'pre-install,pre-upgrade',
      'helm.sh/hook-output-log-policy': 'hook-failed',
    })
    const { args, env } = only(podOf('everything', 'Job streams-preflight'))
    expect(args).toEqual(['doctor', '--server'])
    const listening = ['VARVE_HOST', 'VARVE_ADVERTISE']
    const ofRole = only(podOf('everything', 'Deployment streams-log')).env
    expect(env).toEqual(ofRole.filter(({ name }) => !listening.includes(name)))
    expect(pods('embedded').map((pod) => pod.of)).not.toContain('Job varve-preflight')
  })

  test('secrets of connectors lie in spouts and egresses alone', () => {
    const having = pods('everything').filter(({ spec }) =>
      spec.volumes.some(({ secret }) => secret?.secretName === 'warehouse'),
    )
    const names = having.map((pod) => pod.of)
    expect(names.toSorted()).toEqual(['Deployment streams-egress', 'Deployment streams-spouts'])
  })

  test('the scheduler may act where the pools are and nowhere else; other roles nowhere', () => {
    const rules = of('everything').filter(({ kind }) => /^(?:Cluster)?Role(?:Binding)?$/.test(kind))
    expect(rules.map(({ kind, metadata }) => `${kind} ${metadata.namespace}`).toSorted()).toEqual([
      'Role streams-work',
      'RoleBinding streams-work',
    ])
    expect(JSON.stringify(rules)).not.toContain('"*"')
    const { rules: given } = named(of('everything'), 'Role', 'streams-pools') as unknown as {
      rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[]
    }
    // What the client of services asks for, each with its word of RBAC.
    for (const resource of ['services', 'networkpolicies'])
      expect(given.find(({ resources }) => resources.includes(resource))?.verbs).toEqual(
        expect.arrayContaining(['get', 'list', 'create', 'patch', 'delete']),
      )
  })

  test('without pools nobody has a right, or a file of theirs', () => {
    const kinds = of('cluster').map(({ kind }) => kind)
    for (const kind of ['Role', 'RoleBinding', 'ConfigMap']) expect(kinds).not.toContain(kind)
    const variables = pods('cluster').flatMap((pod) => only(pod).env)
    expect(variables.map(({ name }) => name)).not.toContain('VARVE_POOLS')
  })

  test('with pools the scheduler and the API are told how they are kept, in words they understand', () => {
    const told = pods('everything').filter((pod) =>
      only(pod).env.some(({ name }) => name === 'VARVE_POOLS'),
    )
    const names = told.map((pod) => pod.of)
    expect(names.toSorted()).toEqual(['Deployment streams-api', 'Deployment streams-scheduler'])
    for (const pod of told) {
      expect(started('serve', only(pod)).pools).toBe('/etc/varve/pools/pools.json')
      expect(pod.spec.volumes).toContainEqual({
        name: 'pools',
        configMap: { name: 'streams-pools' },
      })
    }
    const settings = settingsOfPools(of('everything'), 'streams')
    expect(settings).toMatchObject({
      namespace: 'streams-work',
      labels: {
        'app.kubernetes.io/managed-by': 'varve',
        'varve.dev/installation': 'streams',
      },
      owner: 'streams-pools-anchor',
      image: expect.stringMatching(/^images\.example\/varve@sha256:e3b0/) as string,
      pullSecrets: ['pull'],
      caps: { cluster: { costPerHour: 12.5 }, projects: { images: { pods: 10 } } },
      coolDownSeconds: 300,
      root: false,
      inputCache: '4Gi',
      services: { types: ['ClusterIP', 'LoadBalancer'] },
    })
    const anchor = named(of('everything'), 'ConfigMap', 'streams-pools-anchor')
    expect(anchor.metadata.namespace).toBe('streams-work')
  })

  test('workers and api pods let each other through, and the labels of workers select no pod of ours', async () => {
    const beside = await render(
      'cluster',
      'pools.enabled=true',
      'networkPolicy.apiFrom[0].podSelector.a=b',
    )
    for (const [all, name, namespace] of [
      [of('everything'), 'streams', 'streams-work'],
      [beside, 'varve', undefined],
    ] as const) {
      const { api, labels, namespace: where } = settingsOfPools(all, name)
      expect(api).toMatchObject({ url: `http://${name}.streams.svc:7070`, port: 7070 })
      const to = api.to as { readonly namespace?: Labels; readonly pods: Labels }
      const reached = podsOf(all).filter((pod) => selects(to.pods, pod.labels))
      expect(reached.map((pod) => pod.of)).toEqual([`Deployment ${name}-api`])
      // Its own namespace needs no name.
      expect(to.namespace?.['kubernetes.io/metadata.name']).toBe(namespace && 'streams')
      expect(where).toBe(namespace ?? 'streams')
      const { ingress } = named(all, 'NetworkPolicy', name).spec as {
        ingress: readonly { readonly from: readonly object[] }[]
      }
      expect(ingress[0]?.from.at(-1)).toEqual({
        podSelector: { matchExpressions: [{ key: POOL_LABEL, operator: 'Exists' }] },
        ...(namespace && {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
        }),
      })
      // Else a Service would send to a worker, or a policy open a port of it.
      for (const { kind, metadata, spec } of all) {
        const selector = kind === 'Service' ? spec['selector'] : spec?.['podSelector']
        const wanted = ((selector as { matchLabels?: Labels })?.matchLabels ?? selector) as Labels
        if (wanted) expect(selects(wanted, labels ?? {}), `${kind} ${metadata.name}`).toBe(false)
      }
    }
  })

  test('other settings of pools start those two roles anew, and no other', async () => {
    const templates = (all: readonly Rendered[]): Map<string, string> =>
      new Map(
        all
          .filter(({ kind }) => kind === 'Deployment')
          .map(({ metadata, spec }) => [metadata.name, JSON.stringify(spec['template'])]),
      )
    const [before, after] = await Promise.all(
      ['60', '61'].map(async (seconds) =>
        templates(
          await render('cluster', 'pools.enabled=true', `pools.coolDownSeconds=${seconds}`),
        ),
      ),
    )
    const changed = [...(before ?? [])].filter(([name, text]) => after?.get(name) !== text)
    expect(changed.map(([name]) => name)).toEqual(['varve-api', 'varve-scheduler'])
  })

  test('what needs definitions of others is made on request only', () => {
    const groups = (one: Profile): string[] =>
      [...new Set(of(one).map(({ apiVersion }) => apiVersion))].filter((group) =>
        /monitoring|gateway/.test(group),
      )
    expect(groups('cluster')).toEqual([])
    expect(groups('embedded')).toEqual([])
    expect(groups('everything').toSorted()).toEqual([
      'gateway.networking.k8s.io/v1',
      'monitoring.coreos.com/v1',
    ])
  })

  test('metrics are read with the token of the server', () => {
    const { spec } = named(of('everything'), 'ServiceMonitor', 'streams-metrics')
    expect(spec['endpoints']).toEqual([
      {
        port: 'http',
        path: '/metrics',
        interval: '30s',
        authorization: { credentials: { name: 'streams', key: 'api-token' } },
      },
    ])
    const service = named(of('everything'), 'Service', 'streams-metrics')
    const { matchLabels } = spec['selector'] as { matchLabels: Labels }
    expect(selects(matchLabels, service.metadata.labels)).toBe(true)
    const api = named(of('everything'), 'Service', 'streams')
    expect(selects(matchLabels, api.metadata.labels)).toBe(false)
  })

  test('policies close all but the one port', () => {
    const api = named(of('everything'), 'NetworkPolicy', 'streams').spec
    expect(api).toMatchObject({
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: [{ port: 'http' }], from: [{ namespaceSelector: {} }, {}] }],
    })
    expect(api['egress']).toEqual([
      {
        ports: [
          { port: 53, protocol: 'UDP' },
          { port: 53, protocol: 'TCP' },
        ],
      },
      {
        to: [{ podSelector: { matchLabels: expect.any(Object) as object } }],
        ports: [{ port: 'http' }],
      },
      { to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] },
    ])
    const roles = named(of('everything'), 'NetworkPolicy', 'streams-roles').spec
    expect(roles).toMatchObject({ ingress: [{ ports: [{ port: 'http' }] }] })
    expect(named(of('cluster'), 'NetworkPolicy', 'varve').spec['policyTypes']).toEqual(['Ingress'])
  })

  test('an image is named by its digest where one is given', () => {
    const images = new Set(pods('everything').map((pod) => only(pod).image))
    expect([...images]).toEqual([expect.stringMatching(/^images\.example\/varve@sha256:e3b0/)])
    expect(only(podOf('cluster', 'Deployment varve-api')).image).toBe('varve:0.1.0')
  })
})
