// What of the chart is made from tables in the code says what the tables say, and lets nothing else in.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { helmFiles } from '../../scripts/generate-helm.ts'
import { chartOptions } from '../../scripts/helm-schema.ts'
import type { Schema } from '../../scripts/helm-schema.ts'
import { OPTIONS, ROLES } from '../../src/config/options.ts'
import type { OptionSpec } from '../../src/config/options.ts'
import { VERSION } from '../../src/main/version.ts'
import { CHART } from '../services/helm.ts'

const text = (file: string): string => readFileSync(join(CHART, file), 'utf8')

test.each(Object.entries(helmFiles()))(
  'helm: %s is what `npm run generate` gives',
  (file, made) => {
    expect(text(file)).toBe(made)
  },
)

test('helm: the chart has the version of the product', () => {
  expect(parse(text('Chart.yaml'))).toMatchObject({ version: VERSION, appVersion: VERSION })
})

test('helm: every role has its values', () => {
  const { roles } = parse(text('values.yaml')) as { roles: Record<string, unknown> }
  expect(Object.keys(roles)).toEqual(ROLES)
})

test('helm: an option of the server is a value, a secret, or set by the chart', () => {
  const values = new Set<string>(chartOptions().map(([name]) => name))
  const bySecret = Object.entries(OPTIONS).filter(([, spec]: [string, OptionSpec]) => spec.secret)
  const rest = Object.keys(OPTIONS).filter(
    (name) => !values.has(name) && !bySecret.some(([secret]) => secret === name),
  )
  // The last two are `pools` of the values, whose `inputCache` the scheduler hands to the pods.
  const byChart = ['data', 'roles', 'host', 'port', 'kafkaConfig', 'cassandraCa']
  expect(rest).toEqual([...byChart, 'pools', 'inputCacheBytes'])
})

/** Objects that Kubernetes checks itself, or that only Helm fills. */
const FOREIGN = [
  'httpRoute.parentRefs[]',
  'networkPolicy.apiFrom[]',
  'networkPolicy.metricsFrom[]',
  'networkPolicy.egress[]',
  'pod.tolerations[]',
  'pod.affinity',
  'pod.topologySpreadConstraints[]',
  'extraEnv[]',
  'extraEnvFrom[]',
  'extraVolumes[]',
  'extraVolumeMounts[]',
  'global',
]

test('helm: no object of the schema takes what it does not name', () => {
  const open: string[] = []
  const look = (schema: Schema, path: string): void => {
    if (schema.type === 'object' && schema.additionalProperties === undefined) open.push(path)
    for (const [name, one] of Object.entries(schema.properties ?? {}))
      look(one, path === '' ? name : `${path}.${name}`)
    if (schema['items']) look(schema['items'] as Schema, `${path}[]`)
  }
  look(JSON.parse(text('values.schema.json')) as Schema, '')
  expect(open.toSorted()).toEqual(FOREIGN.toSorted())
})
