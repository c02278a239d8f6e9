import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import fc from 'fast-check'
import { deploymentOf } from '../../../src/exec/adapters/kubernetes/deployment.ts'
import type { DeploymentOptions } from '../../../src/exec/adapters/kubernetes/deployment.ts'
import {
  AGENT_CONTAINER,
  DIGEST_ANNOTATION,
  OWN_PREFIX,
  POOL_LABEL,
  PROJECT_LABEL,
  USER_CONTAINER,
} from '../../../src/exec/adapters/kubernetes/names.ts'
import type { Deployment } from '../../../src/exec/adapters/kubernetes/objects.ts'
import { IN_AGENT } from '../../../src/exec/adapters/kubernetes/pod.ts'
import type { ContainerObject, PodObject } from '../../../src/exec/adapters/kubernetes/pod.ts'
import { agentOf } from '../../../src/exec/adapters/kubernetes/settings.ts'
import { capsOf, shapeOf, sizeOf } from '../../../src/exec/adapters/kubernetes/shape.ts'
import type { PoolShape } from '../../../src/exec/adapters/kubernetes/shape.ts'
import { parsePipelineDocument } from '../../../src/model/spec-pipeline.ts'
import { isDnsLabel, isLabelKey, isLabelValue } from '../../../src/model/spec-word.ts'
import { violations } from './restricted.ts'
import { CANARY, documents, projects } from './specs.ts'

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
const OPTIONS: DeploymentOptions = {
  namespace: 'varve-workers',
  replicas: 0,
  labels: { 'app.kubernetes.io/managed-by': 'varve', 'app.kubernetes.io/instance': 'main' },
  owner: {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name: 'varve',
    uid: 'u-1',
    controller: false,
  },
  digest,
  agent: {
    image: 'varve:1',
    shell: '/bin/busybox',
    runner: '/app/runner.sh',
    args: ['work'],
    requests: { cpu: '50m', memory: '128Mi' },
    limits: { memory: '512Mi' },
  },
  apiUrl: 'http://varve:7070',
  tokenSecret: 'varve-token-1',
  graceSeconds: 30,
}
const GOOD = {
  pipeline: { name: 'edges' },
  transform: { image: 'edges:1', cmd: ['/edges'] },
  input: { pfs: { repo: 'images', glob: '/*' } },
}

function shape(document: object, project = 'default'): PoolShape {
  return shapeOf(project, parsePipelineDocument({ ...GOOD, ...document }), { digest })
}
const transform = <T extends object>(more: T) => ({ transform: { ...GOOD.transform, ...more } })
const podOf = (from: PoolShape): PodObject => deploymentOf(from, OPTIONS).spec.template.spec

function container(pod: PodObject, name: string): ContainerObject {
  const found = [...pod.containers, ...pod.initContainers].find((one) => one.name === name)
  if (!found) throw new Error(`no container "${name}"`)
  return found
}

test('of any accepted spec: restricted pods, valid names, and no value that belongs to a datum', () => {
  fc.assert(
    fc.property(projects, documents, (project, document) => {
      const spec = parsePipelineDocument(document)
      expect(parsePipelineDocument(JSON.parse(JSON.stringify(spec)))).toEqual(spec)
      const made = shapeOf(project, spec, { digest })
      const object = deploymentOf(made, OPTIONS)
      const { template, selector } = object.spec
      const pod = template.spec
      expect(violations({ ...pod })).toEqual([])
      expect(JSON.stringify(object)).not.toContain(CANARY)

      const volumes = pod.volumes.map((volume) => volume.name)
      const containers = [...pod.containers, ...pod.initContainers].map((one) => one.name)
      for (const names of [volumes, containers]) expect(new Set(names).size).toBe(names.length)
      const { name, namespace } = object.metadata
      for (const each of [name, namespace, ...volumes, ...containers])
        expect(each).toSatisfy(isDnsLabel)
      // A pod's name: the Deployment's, a hash of the ReplicaSet, five characters.
      expect(`${object.metadata.name}-0123456789-abcde`).toSatisfy(isDnsLabel)
      for (const { metadata } of [object, template]) {
        for (const [key, value] of Object.entries(metadata.labels)) {
          expect(key).toSatisfy(isLabelKey)
          expect(value).toSatisfy(isLabelValue)
        }
        expect(metadata.labels).toMatchObject({ ...OPTIONS.labels, [POOL_LABEL]: made.name })
        expect(metadata.annotations[PROJECT_LABEL]).toBe(project)
      }
      expect(template.metadata.labels).toMatchObject(selector.matchLabels)
      for (const key of ['labels', 'annotations'] as const)
        for (const name of Object.keys(object.metadata[key])) expect(name).toSatisfy(isLabelKey)

      // Nobody but the agent has the token; nobody at all a service account's.
      expect(pod.automountServiceAccountToken).toBe(false)
      for (const one of [...pod.containers, ...pod.initContainers]) {
        const has = one.volumeMounts.some((mount) => mount.name === 'token')
        expect(has).toBe(one.name === AGENT_CONTAINER)
      }
      // Variables of the user's container: HOME, and references.
      for (const { name, value, valueFrom } of container(pod, USER_CONTAINER).env)
        expect([name === 'HOME', valueFrom === undefined]).toEqual([
          value !== undefined,
          value !== undefined,
        ])
      for (const one of [...pod.containers, ...pod.initContainers])
        for (const mount of one.volumeMounts)
          expect(pod.volumes.map((volume) => volume.name)).toContain(mount.name)
      const paths = container(pod, USER_CONTAINER).volumeMounts.map((mount) => mount.mountPath)
      expect(new Set(paths).size).toBe(paths.length)
    }),
    { numRuns: 500 },
  )
})

test('the check of the standard can fail', () => {
  const good = podOf(shape({}))
  const spoil = (change: (pod: Record<string, unknown>) => void): string[] => {
    const pod = structuredClone(good) as unknown as Record<string, unknown>
    change(pod)
    return violations(pod)
  }
  expect(spoil(() => {})).toEqual([])
  expect(spoil((pod) => (pod['hostNetwork'] = true))).toEqual(['hostNetwork'])
  expect(spoil((pod) => (pod['securityContext'] = {}))).toHaveLength(6)
  expect(spoil((pod) => (pod['volumes'] = [{ name: 'a', hostPath: { path: '/' } }]))).toEqual([
    'volume of hostPath',
  ])
  const root = podOf(shape(transform({ user: '0' })))
  expect(violations({ ...root })).toEqual(
    ['user', 'agent', 'tools'].flatMap((name) => [`${name}: runAsNonRoot`, `${name}: runAsUser`]),
  )
})

test('the user sees of the shared volumes one datum to read, its output, and pipes it cannot replace', () => {
  const pod = podOf(shape({}))
  const mounts = container(pod, USER_CONTAINER).volumeMounts
  const shared = mounts.filter(({ name }) =>
    [AGENT_CONTAINER, 'tools'].some((other) =>
      container(pod, other).volumeMounts.some((mount) => mount.name === name),
    ),
  )
  expect(shared).toEqual([
    { name: 'work', subPath: 'pfs', mountPath: '/pfs', readOnly: true },
    { name: 'work', subPath: 'out', mountPath: '/pfs/out' },
    { name: 'tools', mountPath: '/varve/tools', readOnly: true },
    { name: 'pipes', mountPath: '/varve/pipes', readOnly: true },
  ])
  // What is kept for other datums lies in the same volume, in neither of the two folders.
  const kept = IN_AGENT.cache.slice(IN_AGENT.work.length + 1)
  expect(shared.map(({ subPath }) => subPath)).not.toContain(kept)
  expect(mounts.find(({ mountPath }) => mountPath === '/dev/shm')?.name).toBe('shm')
  expect(pod.shareProcessNamespace).toBe(false)
  expect(container(pod, AGENT_CONTAINER).securityContext.readOnlyRootFilesystem).toBe(true)
  // The same user on both sides, so that the agent can empty what the code made.
  expect(pod.securityContext).toMatchObject({ runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 })
})

test('the agent keeps inputs only where the pipeline does not limit the disk', () => {
  const cached = (more: object): PodObject => {
    const agent = { ...OPTIONS.agent, cacheBytes: 2 ** 30 }
    return deploymentOf(shape(more), { ...OPTIONS, agent }).spec.template.spec
  }
  const work = (pod: PodObject) => pod.volumes.find(({ name }) => name === 'work')
  const told = (pod: PodObject) =>
    container(pod, AGENT_CONTAINER).env.find(({ name }) => name === 'VARVE_INPUT_CACHE_BYTES')
  const limited = cached({ resourceLimits: { disk: '2Gi' } })
  expect(told(limited)?.value).toBe('0')
  expect(work(limited)).toEqual({ name: 'work', emptyDir: { sizeLimit: '2Gi' } })
  // Without a limit of the pipeline there must be none of ours: it would be the whole pod's.
  const free = cached({})
  expect(told(free)?.value).toBe(String(2 ** 30))
  expect(work(free)).toEqual({ name: 'work', emptyDir: {} })
  expect(container(free, AGENT_CONTAINER).resources.limits).toEqual(OPTIONS.agent.limits)
  const settings = { namespace: 'n', image: 'i', api: { url: 'u', to: { pods: {} }, port: 1 } }
  expect(agentOf(settings).cacheBytes).toBe(2 ** 30)
  expect(agentOf({ ...settings, inputCache: '500M' }).cacheBytes).toBe(5e8)
  expect(agentOf({ ...settings, inputCache: '0' }).cacheBytes).toBe(0)
})

test('a secret comes by reference, as a variable and as files of one folder', () => {
  const pod = podOf(
    shape(
      transform({
        secrets: [
          { name: 'a', key: 'k', envVar: 'A_KEY', mountPath: '/secrets' },
          { name: 'b', key: 'l', mountPath: '/secrets' },
          { name: 'c', mountPath: '/etc/c' },
        ],
      }),
    ),
  )
  const user = container(pod, USER_CONTAINER)
  expect(user.env).toContainEqual({
    name: 'A_KEY',
    valueFrom: { secretKeyRef: { name: 'a', key: 'k' } },
  })
  const sources = (path: string): unknown => {
    const mount = user.volumeMounts.find(({ mountPath }) => mountPath === path)
    const volume = pod.volumes.find(({ name }) => name === mount?.name)
    expect(mount?.readOnly).toBe(true)
    return volume && 'projected' in volume ? volume.projected.sources : undefined
  }
  expect(sources('/secrets')).toEqual([
    { secret: { name: 'a', items: [{ key: 'k', path: 'k' }] } },
    { secret: { name: 'b', items: [{ key: 'l', path: 'l' }] } },
  ])
  expect(sources('/etc/c')).toEqual([{ secret: { name: 'c' } }])
})

const RICH = {
  ...transform({
    secrets: [
      { name: 'a', key: 'k', envVar: 'A' },
      { name: 'b', mountPath: '/b' },
    ],
    imagePullSecrets: ['one', 'two'],
    user: '1000',
  }),
  resourceRequests: { cpu: 1, memory: '1Gi' },
  resourceLimits: { gpu: { type: 'nvidia.com/gpu', number: 1 } },
  schedulingSpec: { nodeSelector: { a: '1', b: '2' } },
  tolerations: [
    { key: 'x', operator: 'Exists' },
    { key: 'y', operator: 'Exists' },
  ],
  metadata: { labels: { team: 'a', app: 'b' } },
}

test.each([
  ['another way to write it', { resourceRequests: { memory: '1024Mi', cpu: '1000m' } }],
  [
    'another order',
    { tolerations: RICH.tolerations.toReversed(), metadata: { labels: { app: 'b', team: 'a' } } },
  ],
  [
    'another command',
    transform({ ...RICH.transform, cmd: ['/other'], env: { A1: 'b' }, workingDir: '/x' }),
  ],
  ['another pipeline', { pipeline: { name: 'other' }, parallelismSpec: { constant: 3 } }],
  ['the default said', transform({ ...RICH.transform, user: '1000:1000' })],
])('one pool: %s', (_, change) => {
  expect(shape({ ...RICH, ...change })).toEqual(shape(RICH))
})

test.each([
  ['image', transform({ ...RICH.transform, image: 'edges:2' })],
  ['user', transform({ ...RICH.transform, user: '1001' })],
  ['group', transform({ ...RICH.transform, user: '1000:1' })],
  ['secrets', transform({ ...RICH.transform, secrets: RICH.transform.secrets.slice(1) })],
  [
    'a secret elsewhere',
    transform({ ...RICH.transform, secrets: [{ name: 'b', mountPath: '/c' }] }),
  ],
  ['pull secrets', transform({ ...RICH.transform, imagePullSecrets: ['two', 'one'] })],
  ['requests', { resourceRequests: { cpu: 2, memory: '1Gi' } }],
  ['GPUs', { resourceLimits: { gpu: { type: 'nvidia.com/gpu', number: 2 } } }],
  ['nodes', { schedulingSpec: { nodeSelector: { a: '1' } } }],
  ['priority', { schedulingSpec: { ...RICH.schedulingSpec, priorityClassName: 'p' } }],
  ['tolerations', { tolerations: [] }],
  ['labels', { metadata: { labels: { team: 'b', app: 'b' } } }],
  ['annotations', { metadata: { ...RICH.metadata, annotations: { team: 'a' } } }],
])('another pool: %s', (_, change) => {
  expect(shape({ ...RICH, ...change }).name).not.toBe(shape(RICH).name)
})

test('another project is another pool, whatever its name', () => {
  const names = ['default', '-', '_', 'A', 'a', 'x'.repeat(51)].map(
    (each) => shape(RICH, each).name,
  )
  expect(new Set(names).size).toBe(names.length)
  for (const name of names) expect(name).toSatisfy((text: string) => text.startsWith(OWN_PREFIX))
})

test('the digest names all that was made but the number of pods', () => {
  const of = (more: Partial<DeploymentOptions>): string | undefined =>
    deploymentOf(shape({}), { ...OPTIONS, ...more }).metadata.annotations[DIGEST_ANNOTATION]
  expect(of({ replicas: 7 })).toBe(of({}))
  expect(of({ agent: { ...OPTIONS.agent, image: 'varve:2' } })).not.toBe(of({}))
  expect(of({ tokenSecret: 'varve-token-2' })).not.toBe(of({}))
  expect(of({ graceSeconds: 31 })).not.toBe(of({}))
  // What the controller compares and sends is this object.
  const sent: Deployment = deploymentOf(shape({}), OPTIONS)
  expect(sent.metadata.ownerReferences).toEqual([OPTIONS.owner])
})

test('a token that a pipeline could name is not taken', () => {
  expect(() => deploymentOf(shape({}), { ...OPTIONS, tokenSecret: 'token' })).toThrow(/no pipeline/)
})

test('an image whose name may mean another tomorrow is asked for again', () => {
  const policy = (image: string): string | undefined =>
    container(podOf(shape(transform({ image }))), USER_CONTAINER).imagePullPolicy
  for (const image of ['edges', 'edges:latest', 'host:5000/edges'])
    expect(policy(image)).toBe('Always')
  for (const image of ['edges:1', `edges@sha256:${'a'.repeat(64)}`, 'host:5000/edges:2'])
    expect(policy(image)).toBe('IfNotPresent')
})

test('what a pod asks for, and the most a pipeline may hold', () => {
  const asked = sizeOf(shape(RICH), OPTIONS.agent.requests)
  expect(asked).toEqual({ cpu: 1.05, memoryBytes: 2 ** 30 + 2 ** 27, gpus: 1 })
  expect(shape(RICH).limits).toEqual({ 'nvidia.com/gpu': '1' })
  expect(shape({ resourceLimits: { cpu: 2, memory: '512Mi' } })).toMatchObject({
    requests: { cpu: '2', memory: '512Mi' },
    limits: { cpu: '2', memory: '512Mi' },
  })
  const spec = parsePipelineDocument({
    ...GOOD,
    parallelismSpec: { constant: 4 },
    budget: { pods: 6, cpu: '8', memory: '1Gi', gpu: 2, costPerHour: 3 },
  })
  expect(capsOf(spec)).toEqual({ pods: 4, cpu: 8, memoryBytes: 2 ** 30, gpus: 2, budgetPerHour: 3 })
  expect(capsOf(parsePipelineDocument(GOOD))).toEqual({})
})
