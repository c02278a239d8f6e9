// The JSON schema of the chart's values: shapes here, words from the comments of values.yaml, options and
// settings of pools from their tables in the code. Nothing that is not named is allowed, so that a misspelt
// value is refused; only what Kubernetes itself checks is passed on as it is.

import { OPTIONS, ROLES } from '../src/config/options.ts'
import type { OptionName, OptionSpec } from '../src/config/options.ts'
import { PoolSettings } from '../src/config/pool-settings.ts'

export interface Schema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly [keyword: string]: unknown
}

/** Options that a node, a pod or a secret decides; the chart sets them, or nobody does. */
const SET_BY_CHART: readonly OptionName[] = [
  'data', // where the volume is mounted
  'roles', // one for each Deployment
  'host', // all addresses of the pod
  'port', // the one probes and services know
  'kafkaConfig', // a file of secrets.kafka
  'cassandraCa', // a file of secrets.cassandra
  'pools', // a file made of the values `pools`
]

/** Settings of pools that follow from the rest of the chart. */
const POOLS_SET_BY_CHART: readonly (keyof PoolSettings)[] = [
  'namespace', // the release's own, unless the value says otherwise
  'labels',
  'owner',
  'image',
  'pullSecrets',
  'api',
]

/** The options that stand below `options`: plain ones of the programs that the chart runs. */
export function chartOptions(): [OptionName, OptionSpec][] {
  const all = Object.entries(OPTIONS) as [OptionName, OptionSpec][]
  return all.filter(
    ([name, spec]) =>
      !spec.secret &&
      !SET_BY_CHART.includes(name) &&
      spec.for.some((program) => program === 'serve' || program === 'dev'),
  )
}

function optionSchema(spec: OptionSpec): Schema {
  const { doc: description, choices, min, max } = spec
  const about = { description, ...(spec.default === undefined ? {} : { default: spec.default }) }
  const bounds = {
    ...(min === undefined ? {} : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
  }
  switch (spec.type) {
    case 'text':
      return { ...about, type: 'string', minLength: 1 }
    case 'choice':
      return { ...about, type: 'string', enum: choices }
    case 'boolean':
      return { ...about, type: 'boolean' }
    case 'port':
      return { ...about, type: 'integer', minimum: 0, maximum: 65_535 }
    case 'integer':
      return { ...about, type: 'integer', ...bounds }
    case 'bytes':
      return { ...about, type: ['integer', 'string'], ...bounds, pattern: '^[0-9]' }
    case 'list': {
      const items = { type: 'string', minLength: 1, ...(choices ? { enum: choices } : {}) }
      return { ...about, type: ['array', 'string'], items, minItems: 1, minLength: 1 }
    }
  }
}

/** What may stand below `pools`, beside its switch and its namespace. */
export function poolValues(): [string, Schema][] {
  const all = Object.entries(asSchema(PoolSettings).properties ?? {})
  return all.filter(([name]) => !(POOLS_SET_BY_CHART as readonly string[]).includes(name))
}

/** As plain JSON schema, in which a map is an object whose other properties are what it holds. */
function asSchema(declared: object): Schema {
  return JSON.parse(JSON.stringify(declared), (_name, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('patternProperties' in value)) return value
    const { patternProperties, ...rest } = value
    const [held] = Object.values(patternProperties as Readonly<Record<string, unknown>>)
    return { ...rest, additionalProperties: held }
  }) as Schema
}

const text: Schema = { type: 'string' }
const someText: Schema = { type: 'string', minLength: 1 }
const flag: Schema = { type: 'boolean' }
const texts: Schema = { type: 'array', items: someText }
const map: Schema = { type: 'object', additionalProperties: text }
const count: Schema = { type: 'integer', minimum: 0 }
/** Kubernetes says what may stand in it. */
const foreign: Schema = { type: 'object' }
const foreigns: Schema = { type: 'array', items: foreign }

function object(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', additionalProperties: false, properties }
}

const amounts: Schema = {
  type: 'object',
  additionalProperties: { type: ['string', 'number'] },
}
const resources = object({ requests: amounts, limits: amounts })
const secret = (...keys: readonly string[]): Schema =>
  object({
    existingSecret: text,
    keys: object(Object.fromEntries(keys.map((key) => [key, text]))),
  })

/** By their names in values.yaml; `options` are filled in from the table. */
function valuesSchema(): Schema {
  return object({
    nameOverride: text,
    fullnameOverride: text,
    image: object({
      repository: someText,
      tag: text,
      digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
      pullPolicy: { type: 'string', enum: ['Always', 'IfNotPresent', 'Never'] },
      pullSecrets: texts,
    }),
    options: object(
      Object.fromEntries(chartOptions().map(([name, spec]) => [name, optionSchema(spec)])),
    ),
    secrets: object({
      server: secret('token', 'clusterSecret'),
      kafka: secret('config'),
      cassandra: secret('username', 'password', 'ca'),
      s3: secret('accessKey', 'secretKey'),
    }),
    connectorSecrets: texts,
    trustedCertificates: object({ existingConfigMap: text, key: someText }),
    roles: object(
      Object.fromEntries(ROLES.map((role) => [role, object({ replicas: count, resources })])),
    ),
    pools: object({ enabled: flag, namespace: text, ...Object.fromEntries(poolValues()) }),
    embedded: object({
      enabled: flag,
      demo: flag,
      persistence: object({
        enabled: flag,
        size: someText,
        storageClass: text,
        existingClaim: text,
      }),
      resources,
    }),
    serviceAccount: object({ create: flag, name: text, annotations: map }),
    service: object({
      type: { type: 'string', enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
      port: { type: 'integer', minimum: 1, maximum: 65_535 },
      annotations: map,
    }),
    ingress: object({
      enabled: flag,
      className: text,
      annotations: map,
      hosts: texts,
      tls: { type: 'array', items: object({ secretName: someText, hosts: texts }) },
    }),
    httpRoute: object({ enabled: flag, annotations: map, parentRefs: foreigns, hostnames: texts }),
    networkPolicy: object({
      enabled: flag,
      apiFrom: foreigns,
      metricsFrom: foreigns,
      egress: foreigns,
    }),
    podDisruptionBudget: object({
      enabled: flag,
      maxUnavailable: { type: ['integer', 'string'], minimum: 1, pattern: '^[0-9]{1,3}%$' },
    }),
    serviceMonitor: object({ enabled: flag, interval: someText, labels: map }),
    preflight: object({
      enabled: flag,
      timeoutSeconds: { type: 'integer', minimum: 1 },
      serviceAccount: someText,
    }),
    pod: object({
      annotations: map,
      labels: map,
      runAsUser: { type: ['integer', 'null'], minimum: 1 },
      nodeSelector: map,
      tolerations: foreigns,
      affinity: foreign,
      topologySpreadConstraints: foreigns,
      priorityClassName: text,
    }),
    extraEnv: foreigns,
    extraEnvFrom: foreigns,
    extraVolumes: foreigns,
    extraVolumeMounts: foreigns,
    // What Helm hands to a chart inside another one.
    global: foreign,
  })
}

/**
 * values.schema.json, whole. What a table in the code describes needs no comment.
 * @param words the comments of values.yaml by path, `image.tag`
 * @throws when a value has no comment, or a comment no value: then the two have grown apart
 */
export function helmSchema(words: ReadonlyMap<string, string>): Schema {
  const unused = new Set(words.keys())
  const described = (schema: Schema, path: string): Schema => {
    const description = words.get(path)
    unused.delete(path)
    if (description === undefined && schema.description !== undefined) return schema
    const inside = schema.properties ? within(schema, path) : schema
    if (description !== undefined) return { ...inside, description }
    if (schema.properties) return inside
    if (path === 'global') return schema
    throw new Error(`cannot describe the value "${path}": values.yaml has no comment above it`)
  }
  const within = (schema: Schema, path: string): Schema => ({
    ...schema,
    properties: Object.fromEntries(
      Object.entries(schema.properties ?? {}).map(([name, one]) => [
        name,
        // What an amount of a resource is, everybody knows.
        path.endsWith('resources') ? one : described(one, path === '' ? name : `${path}.${name}`),
      ]),
    ),
  })
  const properties = within(valuesSchema(), '')
  if (unused.size > 0)
    throw new Error(`cannot make the schema: nobody reads ${[...unused].join(', ')} of values.yaml`)
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the Varve chart',
    $comment: 'Generated by scripts/generate-helm.ts',
    ...properties,
  }
}
