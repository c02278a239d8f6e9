import { expect, test } from 'vitest'
import { isVarveError } from '../../src/base/errors.ts'
import {
  DEFAULT_LABEL_KEYS,
  refuseUnsupported,
  unsupportedHere,
  withoutEffectHere,
} from '../../src/model/spec-abilities.ts'
import type { OwnMachine, Pods } from '../../src/model/spec-abilities.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import { quantity } from '../../src/model/spec-quantity.ts'

// As people have them for Pachyderm.
const TRAINING = {
  pipeline: { name: 'train' },
  transform: {
    image: 'registry.example.com:5000/team/train@sha256:' + 'ab'.repeat(32),
    cmd: ['python3', '/train.py'],
    env: { EPOCHS: 3 },
    secrets: [
      { name: 'store', key: 'token', env_var: 'STORE_TOKEN' },
      { name: 'store', mount_path: '/etc/store' },
    ],
    image_pull_secrets: ['registry', 'registry'],
    working_dir: '/src',
    user: '1000:100',
  },
  input: { pfs: { repo: 'images', glob: '/*' } },
  parallelism_spec: { constant: '4' },
  autoscaling: true,
  resource_requests: { cpu: 0.5, memory: '256M', disk: '10Gi' },
  resource_limits: { cpu: 2, memory: '1Gi', gpu: { type: 'nvidia.com/gpu', number: '1' } },
  scheduling_spec: {
    node_selector: { 'topology.kubernetes.io/zone': 'a' },
    priority_class_name: 'high-priority',
  },
  tolerations: [{ key: 'nvidia.com/gpu', operator: 'EXISTS', effect: 'NO_SCHEDULE' }],
  metadata: { labels: { team: 'vision' }, annotations: { owner: 'ana' } },
  pod_spec: '',
  pod_patch: null,
  budget: { pods: 3, gpu: 2, cost_per_hour: 12.5 },
}

const PODS: Pods = {
  runs: 'pods',
  root: false,
  labelKeys: DEFAULT_LABEL_KEYS,
  serviceTypes: ['ClusterIP'],
  prices: true,
}
const MACHINE: OwnMachine = { runs: 'process', user: { name: 'ana', uid: 1000 } }

const train = (more: object = {}, transform: object = {}): Readonly<Record<string, unknown>> => ({
  ...TRAINING,
  ...more,
  transform: { ...TRAINING.transform, ...transform },
})

test('what pods are made of is read as Pachyderm writes it, and its normal form is a fixed point', () => {
  const spec = parsePipelineDocument(TRAINING)
  expect(spec).toMatchObject({
    transform: {
      env: { EPOCHS: '3' },
      secrets: [
        { name: 'store', key: 'token', envVar: 'STORE_TOKEN' },
        { name: 'store', mountPath: '/etc/store' },
      ],
      imagePullSecrets: ['registry'],
      user: '1000:100',
    },
    parallelismSpec: { constant: 4 },
    autoscaling: true,
    resourceRequests: { cpu: '0.5', memory: '256M', disk: '10Gi' },
    resourceLimits: { cpu: '2', memory: '1Gi', gpu: { type: 'nvidia.com/gpu', number: 1 } },
    schedulingSpec: {
      nodeSelector: { 'topology.kubernetes.io/zone': 'a' },
      priorityClassName: 'high-priority',
    },
    tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
    metadata: { labels: { team: 'vision' }, annotations: { owner: 'ana' } },
    budget: { pods: 3, gpu: 2, costPerHour: 12.5 },
  })
  expect(parsePipelineDocument(JSON.parse(JSON.stringify(spec)))).toEqual(spec)
})

test('what says nothing leaves nothing behind', () => {
  const spec = parsePipelineDocument({
    ...train({}, { secrets: [], image_pull_secrets: [], user: '' }),
    resource_requests: { cpu: 0, gpu: null },
    resource_limits: {},
    scheduling_spec: { priority_class_name: '' },
    tolerations: [],
    metadata: { labels: {} },
    autoscaling: false,
    budget: {},
  })
  for (const name of ['resourceRequests', 'resourceLimits', 'schedulingSpec', 'tolerations'])
    expect(spec).not.toHaveProperty(name)
  for (const name of ['metadata', 'autoscaling', 'budget']) expect(spec).not.toHaveProperty(name)
  for (const name of ['secrets', 'imagePullSecrets', 'user'])
    expect(spec.transform).not.toHaveProperty(name)
})

test.each([
  ['1', 1],
  ['500m', 0.5],
  ['1.5', 1.5],
  ['.5', 0.5],
  ['2e3', 2000],
  ['1E', 1e18],
  ['256Mi', 268_435_456],
  ['64M', 64e6],
  ['0', 0],
  ['', undefined],
  ['1.', undefined],
  ['1e-3', undefined],
  ['+1', undefined],
  ['1mi', undefined],
  ['1e999', undefined],
])('quantity: %s', (text, value) => {
  expect(quantity(text)).toBe(value)
})

test('a machine of its own refuses by name what it cannot give, and says so of what has no effect', () => {
  const spec = parsePipelineDocument(TRAINING)
  expect(unsupportedHere(spec, MACHINE).map(({ path }) => path.join('.'))).toEqual([
    'resourceLimits.gpu',
    'transform.secrets',
    'transform.user',
    'budget',
  ])
  const warnings = withoutEffectHere(spec, MACHINE)
  expect(warnings.map((text) => text.split('"')[1])).toEqual([
    'resourceRequests',
    'resourceLimits',
    'schedulingSpec',
    'tolerations',
    'metadata',
    'transform.imagePullSecrets',
  ])
  expect(withoutEffectHere(spec, PODS)).toEqual([])
})

test('a refusal points where the field stands, as it was written', () => {
  const error = refusal(() => refuseUnsupported(parsePipelineDocument(TRAINING), MACHINE, TRAINING))
  expect(error.details?.['pointer']).toBe('/resource_limits/gpu')
  expect(error.message).toMatch(/"resourceLimits.gpu".*leave it out.*Kubernetes/)
})

test.each([
  ['1000', MACHINE, true],
  ['ana', MACHINE, true],
  ['1000:1000', MACHINE, false],
  ['0', MACHINE, false],
  ['ben', MACHINE, false],
  ['1000', { runs: 'process', user: undefined } as const, false],
  ['1000', PODS, true],
  ['1000:100', PODS, true],
  ['ana', PODS, false],
  ['0', PODS, false],
  ['root', PODS, false],
  ['1000:0', PODS, false],
  ['root', { ...PODS, root: true }, true],
  ['0:0', { ...PODS, root: true }, true],
] as const)('user %s', (user, abilities, accepted) => {
  const document = train({ resource_limits: {}, budget: {} }, { user, secrets: [] })
  const found = unsupportedHere(parsePipelineDocument(document), abilities)
  expect(found.map(({ path }) => path.join('.'))).toEqual(accepted ? [] : ['transform.user'])
})

test.each([
  [{}, { image: null }, 'transform.image'],
  [{}, { code: ['*.py'] }, 'transform.code'],
  [{ metadata: { labels: { 'example.com/x': 'y' } } }, {}, 'metadata.labels.example.com/x'],
  [{ metadata: { annotations: { note: 'y' } } }, {}, 'metadata.annotations.note'],
  [{ budget: { cpu: '400m' } }, {}, 'budget.cpu'],
  [{ budget: { memory: '1Mi' } }, {}, 'budget.memory'],
  [{ resource_limits: { gpu: { type: 'nvidia.com/gpu', number: 4 } } }, {}, 'budget.gpu'],
])('pods refuse %j %j', (more, transform, field) => {
  const found = unsupportedHere(parsePipelineDocument(train(more, transform)), PODS)
  expect(found.map(({ path }) => path.join('.'))).toEqual([field])
})

test('pods take what is good, keys the operator lists, and no prices without a table', () => {
  const listed = { ...PODS, labelKeys: ['example.com/*'] }
  const labelled = parsePipelineDocument(train({ metadata: { labels: { 'example.com/x': 'y' } } }))
  expect(unsupportedHere(labelled, listed)).toEqual([])
  const spec = parsePipelineDocument(TRAINING)
  expect(unsupportedHere(spec, PODS)).toEqual([])
  expect(unsupportedHere(spec, { ...PODS, prices: false })[0]?.path).toEqual([
    'budget',
    'costPerHour',
  ])
})

function refusal(work: () => void): {
  message: string
  details: Record<string, unknown> | undefined
} {
  try {
    work()
  } catch (error) {
    if (isVarveError(error, 'INVALID_SPEC')) return error
    throw error
  }
  throw new Error('it was accepted')
}
