// Specs that would reach out of their pods, starve others, or mean nothing: each is refused by the name of
// its field, in the message and in the details.

import { expect, test } from 'vitest'
import { isVarveError } from '../../src/base/errors.ts'
import type { VarveError } from '../../src/base/errors.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'

const BASE = {
  pipeline: { name: 'edges' },
  transform: { image: 'images/edges:1', cmd: ['/edges'] },
  input: { pfs: { repo: 'images', glob: '/*' } },
}
const OVER_63 = 'a'.repeat(64)
const labels = (n: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => [`label${i}`, 'x']))

const transform = (more: object): object => ({ transform: { ...BASE.transform, ...more } })
const secret = (more: object): object =>
  transform({ secrets: [{ name: 'store', key: 'k', mount_path: '/secrets', ...more }] })
const mount = (mountPath: string): object => secret({ mountPath, mount_path: undefined })
const limits = (more: object): object => ({ resource_limits: more })
const gpu = (more: object): object =>
  limits({ gpu: { type: 'nvidia.com/gpu', number: 1, ...more } })
const toleration = (more: object): object => ({
  tolerations: [{ key: 'gpu', operator: 'EXISTS', ...more }],
})
const scheduling = (more: object): object => ({ scheduling_spec: more })
const label = (key: string, value = 'x'): object => ({ metadata: { labels: { [key]: value } } })
const annotation = (key: string, value = 'x'): object => ({
  metadata: { annotations: { [key]: value } },
})

/** What is wrong, the spec's difference from a good one, the field the refusal must point at. */
const HOSTILE: readonly (readonly [string, object, string])[] = [
  ['raw pod spec', { pod_spec: '{"hostNetwork":true}' }, 'pod_spec'],
  ['raw pod spec as an object', { podSpec: { hostPID: true } }, 'podSpec'],
  ['raw pod patch', { pod_patch: '[{"op":"add","path":"/volumes/-"}]' }, 'pod_patch'],
  ['raw pod patch as a list', { podPatch: [] }, 'podPatch'],
  ['sidecar resources', { sidecar_resource_limits: { cpu: 64 } }, 'sidecar_resource_limits'],
  ['a security context', { securityContext: { privileged: true } }, 'securityContext'],
  ['volumes', { volumes: [{ hostPath: { path: '/' } }] }, 'volumes'],
  ['a service account', { serviceAccountName: 'admin' }, 'serviceAccountName'],
  ['privileged transform', transform({ privileged: true }), 'transform.privileged'],

  ['CPU without end', limits({ cpu: '1e999' }), 'resource_limits.cpu'],
  ['CPU of a huge exponent', limits({ cpu: '1e99' }), 'resource_limits.cpu'],
  ['CPU below zero', limits({ cpu: -1 }), 'resource_limits.cpu'],
  ['CPU below zero as text', limits({ cpu: '-500m' }), 'resource_limits.cpu'],
  ['CPU that is no number', limits({ cpu: 'NaN' }), 'resource_limits.cpu'],
  ['CPU Infinity', limits({ cpu: Infinity }), 'resource_limits.cpu'],
  ['CPU as a list', limits({ cpu: [1] }), 'resource_limits.cpu'],
  ['CPU as a boolean', limits({ cpu: true }), 'resource_limits.cpu'],
  ['CPU below what can be given', limits({ cpu: '1n' }), 'resource_limits.cpu'],
  ['CPU with a blank', limits({ cpu: '1 ' }), 'resource_limits.cpu'],
  ['memory in words', limits({ memory: 'lots' }), 'resource_limits.memory'],
  [
    'memory of 10^18 exbibytes',
    limits({ memory: '999999999999999999Ei' }),
    'resource_limits.memory',
  ],
  ['memory of millibytes', limits({ memory: '100m' }), 'resource_limits.memory'],
  ['memory with two units', limits({ memory: '1GiB' }), 'resource_limits.memory'],
  ['memory in hexadecimal', limits({ memory: '0x10' }), 'resource_limits.memory'],
  [
    'memory of ten thousand digits',
    limits({ memory: '9'.repeat(10_000) }),
    'resource_limits.memory',
  ],
  ['disk below zero', limits({ disk: '-1Gi' }), 'resource_limits.disk'],
  ['an invented resource', limits({ 'hugepages-1Gi': '1Gi' }), 'resource_limits.hugepages-1Gi'],
  [
    'more asked for than allowed',
    { resource_requests: { memory: '2Gi' }, ...limits({ memory: '1Gi' }) },
    'resource_requests.memory',
  ],
  ['a GPU that is memory', gpu({ type: 'memory' }), 'resource_limits.gpu.type'],
  ['a GPU of the cluster', gpu({ type: 'kubernetes.io/batteries' }), 'resource_limits.gpu.type'],
  ['a GPU of a quota', gpu({ type: 'requests.nvidia.com/gpu' }), 'resource_limits.gpu.type'],
  ['a GPU without type', limits({ gpu: { number: 1 } }), 'resource_limits.gpu.type'],
  ['a part of a GPU', gpu({ number: 0.5 }), 'resource_limits.gpu.number'],
  ['GPUs below zero', gpu({ number: -1 }), 'resource_limits.gpu.number'],
  ['a million GPUs', gpu({ number: 1_000_000 }), 'resource_limits.gpu.number'],
  [
    'two kinds of GPU',
    { resource_requests: { gpu: { type: 'amd.com/gpu', number: 1 } }, ...gpu({}) },
    'resource_requests.gpu',
  ],
  ['a million workers', { parallelism_spec: { constant: 1_000_000 } }, 'parallelism_spec.constant'],
  ['workers below zero', { parallelism_spec: { constant: -1 } }, 'parallelism_spec.constant'],
  [
    'workers by the old word',
    { parallelism_spec: { coefficient: 2 } },
    'parallelism_spec.coefficient',
  ],
  ['autoscaling in words', { autoscaling: 'always' }, 'autoscaling'],
  ['a budget below zero', { budget: { costPerHour: -5 } }, 'budget.costPerHour'],
  ['a budget without end', { budget: { costPerHour: Infinity } }, 'budget.costPerHour'],
  ['a budget of no pods', { budget: { pods: 0 } }, 'budget.pods'],
  ['a budget of something else', { budget: { nodes: 3 } }, 'budget.nodes'],

  ['an image with a blank', transform({ image: 'a b' }), 'transform.image'],
  ['an image with a line break', transform({ image: 'a\nprivileged: true' }), 'transform.image'],
  ['an image that is an option', transform({ image: '--privileged' }), 'transform.image'],
  ['an image that climbs', transform({ image: '../../etc/passwd' }), 'transform.image'],
  ['an image of a megabyte', transform({ image: 'a'.repeat(1 << 20) }), 'transform.image'],
  ['an image with half a digest', transform({ image: 'a@sha256:12' }), 'transform.image'],
  ['a command with NUL', transform({ cmd: ['/bin/a\0b'] }), 'transform.cmd'],
  ['an error command with NUL', transform({ errCmd: ['x', '\0'] }), 'transform.errCmd'],
  ['an argument of a megabyte', transform({ cmd: ['x', 'a'.repeat(1 << 20)] }), 'transform.cmd'],
  ['a folder that climbs', transform({ working_dir: '/app/../../etc' }), 'transform.working_dir'],
  ['a folder with NUL', transform({ working_dir: '/a\0b' }), 'transform.working_dir'],
  ['a user in the negative', transform({ user: '-1' }), 'transform.user'],
  ['a user past the last', transform({ user: '4294967296' }), 'transform.user'],
  ['a user with a shell', transform({ user: '0;id' }), 'transform.user'],
  ['a user of three parts', transform({ user: '1:2:3' }), 'transform.user'],
  ['a user that is an object', transform({ user: { uid: 0 } }), 'transform.user'],
  ['a group past the last', transform({ user: '1000:9999999999' }), 'transform.user'],

  ['a variable with =', transform({ env: { 'A=B': 'c' } }), 'transform.env.A=B'],
  ['a variable with NUL', transform({ env: { 'A\0': 'c' } }), 'transform.env.A\0'],
  ['a variable without a name', transform({ env: { '': 'c' } }), 'transform.env.'],
  ['a variable with a line break', transform({ env: { 'A\nB': 'c' } }), 'transform.env.A\nB'],
  ['a variable that begins with a digit', transform({ env: { '1A': 'c' } }), 'transform.env.1A'],
  ['a value with NUL', transform({ env: { A: 'x\0y' } }), 'transform.env.A'],
  ['a value of a megabyte', transform({ env: { A: 'x'.repeat(1 << 20) } }), 'transform.env.A'],
  ['a value that is an object', transform({ env: { A: {} } }), 'transform.env.A'],
  ['ten thousand variables', transform({ env: labels(10_000) }), 'transform.env'],
  [
    'a prototype',
    transform({ env: JSON.parse('{"__proto__": "x"}') as object }),
    'transform.env.__proto__',
  ],

  ['the secret of our token', secret({ name: 'varve-pool-token' }), 'transform.secrets.0.name'],
  [
    'the secret of a chart',
    secret({ name: 'sh.helm.release.v1.varve.v1' }),
    'transform.secrets.0.name',
  ],
  [
    'a secret of another namespace',
    secret({ name: 'kube-system/token' }),
    'transform.secrets.0.name',
  ],
  ['a secret that climbs', secret({ name: '../token' }), 'transform.secrets.0.name'],
  ['a secret in capitals', secret({ name: 'Store' }), 'transform.secrets.0.name'],
  ['a secret without a name', secret({ name: '' }), 'transform.secrets.0.name'],
  ['a secret by value', secret({ value: 'hunter2' }), 'transform.secrets.0.value'],
  ['an entry that climbs', secret({ key: '../k' }), 'transform.secrets.0.key'],
  ['an entry that is the folder above', secret({ key: '..' }), 'transform.secrets.0.key'],
  ["an entry like the mount's own data", secret({ key: '..data' }), 'transform.secrets.0.key'],
  ['a secret that goes nowhere', secret({ mount_path: null }), 'transform.secrets.0.mount_path'],
  ['a mount over the image', mount('/'), 'transform.secrets.0.mountPath'],
  ['a mount over the inputs', mount('/pfs'), 'transform.secrets.0.mountPath'],
  ['a mount into the output', mount('/pfs/out'), 'transform.secrets.0.mountPath'],
  ['a mount over processes', mount('/proc'), 'transform.secrets.0.mountPath'],
  ['a mount into process 1', mount('/proc/1/root'), 'transform.secrets.0.mountPath'],
  ['a mount over the kernel', mount('/sys/kernel'), 'transform.secrets.0.mountPath'],
  ['a mount over devices', mount('/dev/shm'), 'transform.secrets.0.mountPath'],
  ['a mount over our runner', mount('/varve/tools'), 'transform.secrets.0.mountPath'],
  ['a mount over tokens', mount('/run/secrets/kubernetes.io'), 'transform.secrets.0.mountPath'],
  [
    'a mount over tokens by the long way',
    mount('/var/run/secrets'),
    'transform.secrets.0.mountPath',
  ],
  ['a mount over programs', mount('/usr/bin'), 'transform.secrets.0.mountPath'],
  ['a mount over settings', mount('/etc'), 'transform.secrets.0.mountPath'],
  ['a mount that climbs', mount('/a/../pfs'), 'transform.secrets.0.mountPath'],
  ['a mount with a dot', mount('/./pfs'), 'transform.secrets.0.mountPath'],
  ['a mount with two slashes', mount('//pfs'), 'transform.secrets.0.mountPath'],
  ['a mount that ends with a slash', mount('/pfs/'), 'transform.secrets.0.mountPath'],
  ['a mount relative to somewhere', mount('secrets'), 'transform.secrets.0.mountPath'],
  ['a mount with a colon', mount('/a:rw'), 'transform.secrets.0.mountPath'],
  ['a mount with NUL', mount('/a\0b'), 'transform.secrets.0.mountPath'],
  ['a mount of a megabyte', mount(`/${'a'.repeat(1 << 20)}`), 'transform.secrets.0.mountPath'],
  [
    'mounts in one another',
    transform({
      secrets: [
        { name: 'a', mountPath: '/s' },
        { name: 'b', mountPath: '/s/t' },
      ],
    }),
    'transform.secrets.1.mountPath',
  ],
  [
    'one file of two secrets',
    transform({
      secrets: [
        { name: 'a', key: 'k', mountPath: '/s' },
        { name: 'b', mountPath: '/s' },
      ],
    }),
    'transform.secrets.1.mountPath',
  ],
  [
    'a secret as our variable',
    secret({ env_var: 'VARVE_WORKER_TOKEN' }),
    'transform.secrets.0.env_var',
  ],
  ['a secret as the path', secret({ env_var: 'PATH' }), 'transform.secrets.0.env_var'],
  ['a secret as a variable with =', secret({ env_var: 'A=B' }), 'transform.secrets.0.env_var'],
  ['a variable of all entries', secret({ key: null, env_var: 'A' }), 'transform.secrets.0.key'],
  [
    'one variable of two secrets',
    transform({
      secrets: [
        { name: 'a', key: 'k', envVar: 'A' },
        { name: 'b', key: 'k', envVar: 'A' },
      ],
    }),
    'transform.secrets.1.envVar',
  ],
  [
    'a variable given twice',
    transform({ env: { A: 'x' }, secrets: [{ name: 'a', key: 'k', envVar: 'A' }] }),
    'transform.env',
  ],
  [
    'a thousand secrets',
    transform({ secrets: Array.from({ length: 1000 }, () => ({ name: 'a', mountPath: '/a' })) }),
    'transform.secrets',
  ],
  ['secrets that are no list', transform({ secrets: { name: 'a' } }), 'transform.secrets'],
  [
    'our token to fetch with',
    transform({ imagePullSecrets: ['varve-token'] }),
    'transform.imagePullSecrets.0',
  ],
  [
    'a path to fetch with',
    transform({ imagePullSecrets: ['a', '../b'] }),
    'transform.imagePullSecrets.1',
  ],
  [
    'a thousand to fetch with',
    transform({ imagePullSecrets: Array.from({ length: 1000 }, () => 'a') }),
    'transform.imagePullSecrets',
  ],

  [
    'nodes of the control plane',
    scheduling({ node_selector: { 'node-role.kubernetes.io/control-plane': '' } }),
    'scheduling_spec.node_selector.node-role.kubernetes.io/control-plane',
  ],
  [
    'a node label with a blank',
    scheduling({ nodeSelector: { 'a b': 'x' } }),
    'scheduling_spec.nodeSelector.a b',
  ],
  [
    'a node label over 63',
    scheduling({ nodeSelector: { [OVER_63]: 'x' } }),
    `scheduling_spec.nodeSelector.${OVER_63}`,
  ],
  [
    'a node value over 63',
    scheduling({ nodeSelector: { a: OVER_63 } }),
    'scheduling_spec.nodeSelector.a',
  ],
  [
    'the priority of the cluster',
    scheduling({ priority_class_name: 'system-node-critical' }),
    'scheduling_spec.priority_class_name',
  ],
  [
    'a priority that is no name',
    scheduling({ priority_class_name: 'Most Urgent' }),
    'scheduling_spec.priority_class_name',
  ],
  ['a node by name', scheduling({ nodeName: 'control-plane-1' }), 'scheduling_spec.nodeName'],
  ['every taint tolerated', toleration({ key: undefined }), 'tolerations.0.key'],
  [
    'a taint of the control plane',
    toleration({ key: 'node-role.kubernetes.io/control-plane' }),
    'tolerations.0.key',
  ],
  [
    'a taint of a lost node',
    toleration({ key: 'node.kubernetes.io/unreachable' }),
    'tolerations.0.key',
  ],
  ['a taint with a blank', toleration({ key: 'a b' }), 'tolerations.0.key'],
  ['an operator of nothing', toleration({ operator: 'EMPTY' }), 'tolerations.0.operator'],
  [
    'a value that cannot be',
    toleration({ operator: 'Equal', value: 'a b' }),
    'tolerations.0.value',
  ],
  ['an effect of nothing', toleration({ effect: 'Always' }), 'tolerations.0.effect'],
  [
    'seconds without an effect',
    toleration({ tolerationSeconds: 1 }),
    'tolerations.0.tolerationSeconds',
  ],
  [
    'a thousand taints',
    { tolerations: Array.from({ length: 1000 }, () => ({ key: 'a', operator: 'Exists' })) },
    'tolerations',
  ],

  ['a million labels', { metadata: { labels: labels(1_000_000) } }, 'metadata.labels'],
  ['a label of ours', label('varve.dev/pool'), 'metadata.labels.varve.dev/pool'],
  [
    'a label of the cluster',
    label('app.kubernetes.io/name'),
    'metadata.labels.app.kubernetes.io/name',
  ],
  ['a label of the cluster in capitals', label('K8S.io/name'), 'metadata.labels.K8S.io/name'],
  ['a label without a name', label('example.com/'), 'metadata.labels.example.com/'],
  ['a label with two slashes', label('a/b/c'), 'metadata.labels.a/b/c'],
  ['a label over 63', label(OVER_63), `metadata.labels.${OVER_63}`],
  ['a value over 63', label('team', OVER_63), 'metadata.labels.team'],
  ['a value with a line break', label('team', 'a\nb'), 'metadata.labels.team'],
  [
    'a seccomp annotation',
    annotation('container.seccomp.security.alpha.kubernetes.io/user', 'unconfined'),
    'metadata.annotations.container.seccomp.security.alpha.kubernetes.io/user',
  ],
  [
    'an annotation of a megabyte',
    annotation('note', 'x'.repeat(1 << 20)),
    'metadata.annotations.note',
  ],
  ['metadata of the pod itself', { metadata: { ownerReferences: [] } }, 'metadata.ownerReferences'],
]

test('there are at least eighty hostile specs, and the spec they spoil is a good one', () => {
  expect(HOSTILE.length).toBeGreaterThanOrEqual(80)
  expect(parsePipelineDocument(BASE).transform.image).toBe('images/edges:1')
})

test.each(HOSTILE)('refused by name: %s', (_, difference, field) => {
  const error = refusal({ ...BASE, ...difference })
  expect(error.code).toBe('INVALID_SPEC')
  const steps = stepsOf(error)
  expect(steps.join('.')).toBe(field)
  // The message names the field too, for where no position is shown: the key in question, or its map.
  const names = steps.filter((step) => !/^\d+$/.test(step)).slice(-2)
  expect(names.flatMap((name) => [`"${name}`, `"${camelCase(name)}`])).toSatisfy(
    (quoted: string[]) => quoted.some((name) => error.message.includes(name)),
    error.message,
  )
  expect(error.message.length).toBeLessThan(600)
})

function refusal(document: unknown): VarveError {
  try {
    parsePipelineDocument(document)
  } catch (error) {
    if (isVarveError(error)) return error
    throw error
  }
  throw new Error('it was accepted')
}

/** The names of the pointer, outermost first. */
function stepsOf(error: VarveError): string[] {
  const steps = String(error.details?.['pointer']).split('/').slice(1)
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
