// Standing pipelines: code that does not end by itself. A service serves a port over all of its input
// and is started again when that changes; a spout reads no input and writes files over the API. What
// only makes sense for code that ends is refused for them, by name.

import type { Fields } from './spec-fields.ts'
import { compact } from './spec-fields.ts'
import type { PipelineSpec } from './spec-pipeline.ts'
import { parseServiceAnnotations } from './spec-placement.ts'

export const SERVICE_TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const

export interface ServiceSpec {
  /** The port the code listens on. */
  readonly internalPort: number
  /** The port of its address. */
  readonly externalPort: number
  readonly type: (typeof SERVICE_TYPES)[number]
  /** Of the service, for what makes load balancers. Which keys may be used is the operator's to say. */
  readonly annotations?: Readonly<Record<string, string>>
}

/** What makes a pipeline standing. */
export interface Standing {
  readonly service?: ServiceSpec
  /** Takes no options; what it serves stands in `service`. */
  readonly spout?: Readonly<Record<string, never>>
}

/** The branch of a spout's repo on which its jobs run; its code writes to another. */
export const RUNS_BRANCH = 'runs'

/** Whether its code runs until a newer version takes its place or it is stopped. */
export function isStanding(spec: {
  readonly service?: unknown
  readonly spout?: unknown
}): boolean {
  return spec.service !== undefined || spec.spout !== undefined
}

/** How a run without end goes: `failed` counts the ends of its code in a row. */
export function standingWords(progress: { readonly failed: number } | null | undefined): string {
  const ends = progress?.failed ?? 0
  if (ends === 0) return 'without end'
  return `its code ended ${ends === 1 ? 'once' : `${ends} times in a row`}, and is started again`
}

const MAX_PORT = 65_535
/** Lower ones are root's, and code is not root. */
const MIN_INTERNAL_PORT = 1024

function port(fields: Fields, name: string, min: number): number | undefined {
  const number = fields.int(name, 0) || undefined
  if (number !== undefined && (number < min || number > MAX_PORT))
    fields.refuse(name, `a port here is from ${min} to ${MAX_PORT}, found ${number}`)
  return number
}

function parseService(fields: Fields): ServiceSpec {
  const internalPort = port(fields, 'internalPort', MIN_INTERNAL_PORT)
  if (internalPort === undefined)
    return fields.missing('internalPort', 'say where the code listens')
  const ip = fields.raw('ip')
  if (ip !== undefined && ip !== '')
    fields.refuse('ip', 'the cluster gives the address; leave it out')
  const service = compact<ServiceSpec>({
    internalPort,
    externalPort: port(fields, 'externalPort', 1) ?? internalPort,
    type: (fields.string('type') && fields.oneOf('type', SERVICE_TYPES)) || 'ClusterIP',
    annotations: parseServiceAnnotations(fields),
  })
  fields.end()
  return service
}

/** @throws VarveError INVALID_SPEC */
export function parseStanding(fields: Fields): Standing {
  const spout = fields.object('spout', 'the spout')
  const inner = spout?.object('service', 'the service')
  const outer = fields.object('service', 'the service')
  if (inner && outer) spout?.refuse('service', 'it is given twice, also beside "spout"')
  spout?.end({
    overwrite: 'write files over the API, each in a commit',
    marker: 'keep where it stands in a file of its repo',
  })
  const service = inner ?? outer
  return compact<Standing>({
    service: service && parseService(service),
    spout: spout && {},
  })
}

const NO_END = 'its code does not end by itself'

/**
 * The fields a standing pipeline has whatever its document says, for its normal form.
 * @throws VarveError INVALID_SPEC for what would have to be ignored
 */
export function standingFields(
  fields: Fields,
  transform: Fields,
  spec: PipelineSpec,
): Pick<PipelineSpec, 'parallelismSpec' | 'reprocessSpec' | 'backlog'> {
  const noun = spec.spout ? 'a spout' : 'a service'
  const refuse = (name: string, why: string): never =>
    fields.refuse(name, `${noun} has none: ${why}`)
  for (const name of ['datumTimeout', 'jobTimeout'] as const)
    if (spec[name] !== undefined) refuse(name, NO_END)
  if (spec.maxFailedDatums > 0) refuse('maxFailedDatums', 'code that ends is started again')
  if (spec.datumSetSpec) refuse('datumSetSpec', 'it runs once over all there is')
  if (spec.egress && !spec.spout) refuse('egress', 'a service puts nothing out')
  for (const name of ['errCmd', 'errStdin'] as const)
    if (spec.transform[name])
      transform.refuse(name, `${noun} has none: code that ends is started again`)
  if ((spec.parallelismSpec?.constant ?? 1) !== 1)
    fields.refuse('parallelismSpec', `${noun} runs once, with one worker; leave it out`)
  if (fields.string('backlog') === 'every')
    fields.refuse(
      'backlog',
      `the newest takes the place of the one before in ${noun}; leave it out`,
    )
  if (spec.spout && spec.outputBranch === RUNS_BRANCH)
    fields.refuse('outputBranch', `"${RUNS_BRANCH}" is where the jobs of a spout are; name another`)
  // No run of it ever succeeds, so nothing is skipped whatever "reprocessSpec" says.
  return { parallelismSpec: { constant: 1 }, reprocessSpec: 'every_job', backlog: 'latest' }
}
