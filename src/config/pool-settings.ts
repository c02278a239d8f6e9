// How pools of workers are kept on Kubernetes: the file that the option `pools` names. Declared once:
// the check, the chart's schema and the documentation are made from it.

import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { Type } from 'typebox'
import type { Static, TSchema } from 'typebox'
import { VarveError } from '../base/errors.ts'
import { SERVICE_TYPES } from '../model/spec-standing.ts'
import type { ServiceSpec } from '../model/spec-standing.ts'

const shape = <P extends Record<string, TSchema>>(properties: P, description: string) =>
  Type.Object(properties, { additionalProperties: false, description })
const texts = (description: string) => Type.Record(Type.String(), Type.String(), { description })
const opt = Type.Optional

const Amount = (description: string) =>
  Type.String({ pattern: '^[0-9]+(\\.[0-9]+)?([mkMGTP]|[KMGT]i)?$', description })

/** Whom packets may go to: pods by labels, or a block of addresses. */
const Peer = Type.Union(
  [
    shape(
      { namespace: texts('Labels of the namespace'), pods: opt(texts('Labels of its pods')) },
      'Pods of a namespace',
    ),
    shape(
      { pods: texts('Labels of pods in the namespace of the pools') },
      'Pods beside the workers',
    ),
    shape(
      { cidr: Type.String({ description: '10.1.0.0/16' }), except: opt(Type.Array(Type.String())) },
      'A block of addresses',
    ),
  ],
  { description: 'Whom packets may go to' },
)
const Door = shape(
  { to: Peer, ports: Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), { minItems: 1 }) },
  'What code may reach over TCP',
)
const Caps = shape(
  {
    pods: opt(Type.Integer({ minimum: 0, description: 'Pods at once' })),
    cpu: opt(Amount('Processors all pods together may ask for: `500m`, `64`')),
    memory: opt(Amount('Memory all pods together may ask for: `256Gi`')),
    gpu: opt(Type.Integer({ minimum: 0, description: 'GPUs' })),
    costPerHour: opt(Type.Number({ minimum: 0, description: 'In the currency of the prices' })),
  },
  'What may run at once; what would pass it waits and says so',
)
const ServiceType = Type.Unsafe<ServiceSpec['type']>(Type.String({ enum: [...SERVICE_TYPES] }))
const Agent = shape(
  { requests: opt(texts('What it asks for')), limits: opt(texts('What it may use')) },
  'The container of ours in every worker pod',
)

export const PoolSettings = shape(
  {
    namespace: Type.String({ description: 'Where the pods of workers are; it must exist' }),
    labels: opt(
      texts(
        'On all that is made, and how it is found again; default: app.kubernetes.io/managed-by=varve',
      ),
    ),
    owner: opt(
      Type.String({
        description: 'A ConfigMap of that namespace; when it goes, all that was made goes',
      }),
    ),
    image: Type.String({ description: 'The image of Varve' }),
    pullSecrets: opt(
      Type.Array(Type.String(), { description: 'Names of secrets to pull it with' }),
    ),
    api: shape(
      {
        url: Type.String({ description: 'Where workers reach the API' }),
        to: Peer,
        port: Type.Integer({ minimum: 1, maximum: 65_535, description: 'Port of its pods' }),
      },
      'The API, for workers',
    ),
    allow: opt(Type.Array(Door, { description: 'What code may reach besides the API' })),
    dns: opt(Peer),
    caps: opt(
      shape(
        {
          cluster: opt(Caps),
          projects: opt(
            Type.Record(Type.String(), Caps, { description: 'By the name of the project' }),
          ),
        },
        'What may run at once',
      ),
    ),
    prices: opt(
      shape(
        {
          cpuHour: Type.Number({ minimum: 0, description: 'A processor for an hour' }),
          memoryGiBHour: Type.Number({ minimum: 0, description: 'A GiB of memory for an hour' }),
          gpuHour: Type.Number({ minimum: 0, description: 'A GPU for an hour' }),
        },
        'What an hour costs, in a currency of yours; without it budgets by cost are refused',
      ),
    ),
    coolDownSeconds: opt(
      Type.Integer({
        minimum: 0,
        maximum: 86_400,
        description: 'Idle pods stay for so long; default 60',
      }),
    ),
    root: opt(
      Type.Boolean({ description: 'Code may be root; the namespace must allow "baseline" pods' }),
    ),
    labelKeys: opt(
      Type.Array(Type.String(), {
        description: 'Keys pipelines may set as labels and annotations',
      }),
    ),
    runtimeClass: opt(Type.String({ description: 'A runtime with stronger walls: gvisor, kata' })),
    graceSeconds: opt(
      Type.Integer({
        minimum: 1,
        maximum: 3_600,
        description: 'A pod that must go may still work so long; default 30',
      }),
    ),
    defaults: opt(
      shape(
        {
          cpu: opt(Amount('Processors; default 250m')),
          memory: opt(Amount('Memory; default 256Mi')),
          uid: opt(Type.Integer({ minimum: 1, description: 'As whom code runs; default 1000' })),
        },
        'What a worker asks for when its pipeline says nothing of it',
      ),
    ),
    agent: opt(Agent),
    inputCache: opt(
      Amount(
        'What each pod keeps of input files on its disk, for datums and jobs to come, where the pipeline does not limit that; default 1Gi; 0: nothing',
      ),
    ),
    services: opt(
      shape(
        {
          types: Type.Array(ServiceType, {
            description:
              'Kinds of Kubernetes Services that pipelines may have: `ClusterIP`, `NodePort`, `LoadBalancer`; default ClusterIP alone',
          }),
        },
        'Pipelines that serve a port',
      ),
    ),
  },
  'How pools of workers are kept on Kubernetes',
)
export type PoolSettings = Static<typeof PoolSettings>

/** @throws VarveError INVALID_OPTION when the file cannot be read, or says what nobody knows */
export function readPoolSettings(file: string): PoolSettings {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new VarveError(
      'INVALID_OPTION',
      `cannot read the settings of pools in "${file}": ${(error as Error).message}`,
    )
  }
  const ajv = new Ajv({ allErrors: true, strict: false })
  if (ajv.validate(PoolSettings, value)) return value as PoolSettings
  const [first] = ajv.errors ?? []
  const more = first?.params['additionalProperty'] as string | undefined
  const what = `${first?.instancePath || '/'} ${first?.message}${more === undefined ? '' : ` ("${more}")`}`
  throw new VarveError('INVALID_OPTION', `cannot use the settings of pools in "${file}": ${what}`)
}
