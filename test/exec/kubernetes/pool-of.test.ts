import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { PoolSettings as Declared } from '../../../src/config/pool-settings.ts'
import { boundOf } from '../../../src/exec/adapters/kubernetes/bound.ts'
import { poolOf } from '../../../src/exec/adapters/kubernetes/pool-of.ts'
import { limitsOf } from '../../../src/exec/adapters/kubernetes/settings.ts'
import { parsePipelineDocument } from '../../../src/model/spec-pipeline.ts'
import type { PipelineSpec } from '../../../src/model/spec-pipeline.ts'

const digest = (text: string): string => createHash('sha256').update(text).digest('hex')
// As the file of the option `pools` says it.
const SETTINGS: Declared = {
  namespace: 'workers',
  image: 'varve:1',
  api: { url: 'http://varve:7070', to: { pods: { role: 'api' } }, port: 7070 },
  agent: { requests: { cpu: '500m', memory: '1Gi' } },
  caps: {
    cluster: { pods: 100, gpu: 8 },
    projects: { shop: { cpu: '30', memory: '1000Gi', costPerHour: 50 } },
  },
  prices: { cpuHour: 0.5, memoryGiBHour: 0.125, gpuHour: 2 },
  coolDownSeconds: 5,
}

function spec(more: object = {}, transform: object = {}): PipelineSpec {
  return parsePipelineDocument({
    pipeline: { name: 'edges' },
    transform: { image: 'edges:1', cmd: ['/edges'], ...transform },
    input: { pfs: { repo: 'images', glob: '/*' } },
    // With the agent: two cores and 4 GiB, so 1.5 an hour.
    resourceRequests: { cpu: 1.5, memory: '3Gi' },
    ...more,
  })
}

test('one shape, one pool, by project, image, resources and defaults; without an image none', () => {
  const pool = poolOf('shop', spec(), SETTINGS, digest)
  expect(pool).toMatch(/^varve-shop-[0-9a-f]{20}$/)
  expect(poolOf('shop', spec({ pipeline: { name: 'corners' } }), SETTINGS, digest)).toBe(pool)
  const others = [
    poolOf('farm', spec(), SETTINGS, digest),
    poolOf('shop', spec({}, { image: 'edges:2' }), SETTINGS, digest),
    poolOf('shop', spec({ resourceRequests: { cpu: 1 } }), SETTINGS, digest),
    poolOf('shop', spec(), { ...SETTINGS, defaults: { uid: 7 } }, digest),
  ]
  expect(new Set([pool, ...others]).size).toBe(5)
  expect(poolOf('shop', spec({}, { image: undefined }), SETTINGS, digest)).toBe(undefined)
  expect(poolOf('shop', spec({}, { user: 'nobody' }), SETTINGS, digest)).toBe(undefined)
})

test('the settings are the limits, in the units of the scaling', () => {
  expect(limitsOf(SETTINGS)).toEqual({
    cluster: { pods: 100, gpus: 8 },
    projects: { shop: { cpu: 30, memoryBytes: 1000 * 2 ** 30, budgetPerHour: 50 } },
    prices: SETTINGS.prices,
    coolDownMs: 5_000,
  })
})

test.each<[string, string, PipelineSpec, Partial<Declared>, object]>([
  ['cpu of the project', 'shop', spec(), {}, { pods: 15, costPerHour: 22.5, hourlyPodCost: 1.5 }],
  ['pods of the cluster', 'farm', spec(), {}, { pods: 100, costPerHour: 150, hourlyPodCost: 1.5 }],
  [
    'its own budget',
    'shop',
    spec({ budget: { costPerHour: 10 } }),
    {},
    { pods: 6, costPerHour: 9, hourlyPodCost: 1.5 },
  ],
  [
    'its own parallelism',
    'shop',
    spec({ parallelismSpec: { constant: 2 } }),
    {},
    { pods: 2, costPerHour: 3, hourlyPodCost: 1.5 },
  ],
  [
    'GPUs of the cluster',
    'farm',
    spec({ resourceLimits: { gpu: { type: 'nvidia.com/gpu', number: 4 } } }),
    {},
    { pods: 2, costPerHour: 19, hourlyPodCost: 9.5 },
  ],
  ['nothing', 'farm', spec(), { caps: {} }, { pods: null, costPerHour: null, hourlyPodCost: 1.5 }],
])('what bounds it: %s', (_, project, given, more, expected) => {
  expect(boundOf(project, given, { ...SETTINGS, ...more })).toEqual(expected)
})

test('without prices nothing costs anything anybody knows', () => {
  const { prices: _, ...unpriced } = SETTINGS
  const bound = { pods: 15, costPerHour: null, hourlyPodCost: null }
  expect(boundOf('shop', spec(), unpriced)).toEqual(bound)
})
