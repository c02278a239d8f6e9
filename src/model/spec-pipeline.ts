// A pipeline's spec: Pachyderm's document, normalised. The normalised form is itself a valid
// document and parses to itself, so it can be stored, shown, edited and put again.

import { isName, parseName } from './name.ts'
import { DEFAULT_BRANCH } from './name.ts'
import { isVarveError } from '../base/errors.ts'
import { Fields, compact, refuseSpec } from './spec-fields.ts'
import type { Plain } from './spec-fields.ts'
import { parseMetadata, parseScheduling, parseTolerations } from './spec-placement.ts'
import type { MetadataSpec, SchedulingSpec, TolerationSpec } from './spec-placement.ts'
import { parseBudget, parseResourcePair } from './spec-resources.ts'
import type { BudgetSpec, ResourceSpec } from './spec-resources.ts'
import { isStanding, parseStanding, standingFields } from './spec-standing.ts'
import type { Standing } from './spec-standing.ts'
import { parseTransform } from './spec-transform.ts'
import type { TransformSpec } from './spec-transform.ts'

export interface PfsInput {
  readonly project?: string
  readonly repo: string
  readonly branch: string
  /** The folder below /pfs; the repo's name unless given. */
  readonly name: string
  readonly glob: string
  /** Lay the files out with no content: only their names matter. */
  readonly emptyFiles?: boolean
}

export interface PipelineSpec extends Standing {
  readonly pipeline: { readonly project?: string; readonly name: string }
  readonly description?: string
  readonly transform: TransformSpec
  /** Absent exactly where there is `spout`. */
  readonly input?: { readonly pfs: PfsInput }
  /** The most workers at once; fewer, down to none, follow from the work there is. */
  readonly parallelismSpec?: { readonly constant: number }
  /** Said by people who come from elsewhere: workers follow the work either way. */
  readonly autoscaling?: true
  readonly resourceRequests?: ResourceSpec
  readonly resourceLimits?: ResourceSpec
  readonly schedulingSpec?: SchedulingSpec
  readonly tolerations?: readonly TolerationSpec[]
  readonly metadata?: MetadataSpec
  readonly budget?: BudgetSpec
  readonly datumTries: number
  readonly datumTimeout?: string
  readonly jobTimeout?: string
  readonly reprocessSpec?: 'until_success' | 'every_job'
  /** Datums that may fail without failing the job. */
  readonly maxFailedDatums: number
  readonly backlog: 'every' | 'latest'
  readonly outputBranch: string
  readonly datumSetSpec?: {
    readonly number?: number
    readonly sizeBytes?: number
    readonly perWorker?: number
  }
  readonly salt?: string
  /** Sugar for an egress of the pipeline's name, put with it. */
  readonly egress?: { readonly sink: Plain; readonly mode?: string }
}

const SIDECAR = 'what runs beside the code is sized by the operator'
const MAX_WORKERS = 10_000
const NOT_YET: Readonly<Record<string, string>> = {
  tfJob: 'run the training program as transform.cmd',
  s3Out: 'write files to /pfs/out',
  cron: 'a cron input is not built',
  sidecarResourceRequests: SIDECAR,
  sidecarResourceLimits: SIDECAR,
  determined: 'it belongs to another product',
  maximumExpectedUptime: 'watch the job instead',
  errorBranch: 'failed datums stay listed with the job',
  update: 'putting a pipeline that exists updates it',
  reprocess: 'change "salt" to run everything again',
  dryRun: 'ask for a plan instead',
  specCommit: 'the spec is in the log',
}
const INPUT_NOT_YET: Readonly<Record<string, string>> = {
  cross: 'one pfs input is what a pipeline can have now',
  union: 'one pfs input is what a pipeline can have now',
  join: 'one pfs input is what a pipeline can have now',
  group: 'one pfs input is what a pipeline can have now',
  cron: 'a cron input is not built',
  previous: 'one pfs input is what a pipeline can have now',
  delta: 'one pfs input is what a pipeline can have now',
  git: 'put the files into a repo',
}
const PFS_NOT_YET: Readonly<Record<string, string>> = {
  lazy: 'files are laid out in full',
  s3: 'files are laid out below /pfs',
  joinOn: 'it belongs to a join input',
  outerJoin: 'it belongs to a join input',
  groupBy: 'it belongs to a group input',
  trigger: 'branch triggers are not built',
  propagationSpec: 'every finished commit propagates',
  reference: 'content always counts for what is run again',
  repoType: 'the only repos are of type user',
  commit: 'a pipeline reads a branch',
}

function name(fields: Fields, field: string, noun: string): string {
  const text = fields.requiredString(field)
  try {
    return parseName(noun, text)
  } catch (error) {
    if (!isVarveError(error)) throw error
    return refuseSpec(fields.at(field), error.message)
  }
}

function project(fields: Fields): string | undefined {
  const value = fields.raw('project')
  if (value === undefined) return undefined
  // Pachyderm writes a project as {name: …} in some documents and as text in others.
  if (typeof value === 'object')
    return name(new Fields(value, fields.at('project'), 'a project'), 'name', 'project')
  return name(fields, 'project', 'project')
}

function parseInput(fields: Fields, standing: Standing): PipelineSpec['input'] {
  const input = fields.object('input', 'the input')
  if (standing.spout) {
    if (input) fields.refuse('input', 'a spout reads nothing; leave out "input", or "spout"')
    return undefined
  }
  if (!input) return fields.missing('input', 'say which repo it reads')
  const pfs = input.object('pfs', 'the pfs input')
  input.end(INPUT_NOT_YET)
  if (!pfs) return input.missing('pfs')
  return { pfs: parsePfs(pfs, isStanding(standing)) }
}

function parseGlob(fields: Fields, isService: boolean): string {
  if (isService && !fields.has('glob')) return (void fields.raw('glob'), '/')
  const given = fields.requiredString('glob')
  const glob = given.startsWith('/') ? given : `/${given}`
  if (isService && glob !== '/')
    fields.refuse('glob', 'a service has all of its input at once; leave it out, or write "/"')
  return glob
}

function parsePfs(fields: Fields, isService: boolean): PfsInput {
  const repo = name(fields, 'repo', 'repo')
  const input = fields.has('name') ? name(fields, 'name', 'input') : (void fields.raw('name'), repo)
  if (input === 'out')
    fields.refuse(fields.has('name') ? 'name' : 'repo', '"out" is the output; give it a "name"')
  const branch = fields.string('branch') ?? DEFAULT_BRANCH
  if (!isName(branch)) fields.refuse('branch', `"${branch}" is not the name of a branch`)
  const parsed = compact<PfsInput>({
    project: project(fields),
    repo,
    branch,
    name: input,
    glob: parseGlob(fields, isService),
    emptyFiles: fields.bool('emptyFiles') || undefined,
  })
  for (const off of ['lazy', 's3', 'outerJoin'] as const)
    if (fields.raw(off) !== false && fields.has(off))
      refuseSpec(fields.at(off), `cannot use "${off}": not supported yet: ${PFS_NOT_YET[off]}`)
  fields.end(PFS_NOT_YET)
  return parsed
}

function parseSets(fields: Fields): NonNullable<PipelineSpec['datumSetSpec']> {
  const sets = compact<NonNullable<PipelineSpec['datumSetSpec']>>({
    number: fields.int('number', 0) || undefined,
    sizeBytes: fields.int('sizeBytes', 0) || undefined,
    perWorker: fields.int('perWorker', 0) || undefined,
  })
  if (sets.perWorker !== undefined && (sets.number ?? sets.sizeBytes) !== undefined)
    fields.refuse('perWorker', 'it excludes "number" and "sizeBytes"')
  fields.end()
  return sets
}

function parseSugar(fields: Fields): NonNullable<PipelineSpec['egress']> {
  const sink = fields.object('sink', 'the sink')
  if (!sink && !fields.has('URL') && !fields.has('objectStorage') && !fields.has('sqlDatabase'))
    fields.missing('sink')
  const parsed = compact<NonNullable<PipelineSpec['egress']>>({
    sink: fields.raw('sink') as Plain,
    mode: fields.string('mode'),
  })
  fields.end({
    URL: 'write "sink" with the options of a connector',
    objectStorage: 'write "sink" with the options of a connector',
    sqlDatabase: 'write "sink" with the options of a connector',
  })
  return parsed
}

const INSTEAD =
  'write "resourceRequests", "resourceLimits", "schedulingSpec", "tolerations", "metadata", ' +
  '"transform.user" or "transform.secrets"'

/** A raw piece of a pod could undo what keeps its code from everything else. */
function refuseRawPods(fields: Fields): void {
  for (const raw of ['podSpec', 'podPatch']) {
    const given = fields.raw(raw)
    // Empty is how Pachyderm prints one that was never set.
    if (given === undefined || given === '') continue
    refuseSpec(fields.at(raw), `cannot use "${raw}": pods are not given piece by piece; ${INSTEAD}`)
  }
}

/** @throws VarveError INVALID_SPEC with details {pointer, field, nearest} */
export function parsePipelineDocument(value: unknown): PipelineSpec {
  const fields = new Fields(value, '', 'the pipeline')
  fields.raw('$schema')
  const head = fields.object('pipeline', 'the name of the pipeline')
  if (!head) return fields.missing('pipeline')
  const owner = compact<PipelineSpec['pipeline']>({
    project: project(head),
    name: name(head, 'name', 'pipeline'),
  })
  head.end()

  const transform = fields.object('transform', 'the transform')
  if (!transform) return fields.missing('transform', 'say what to run')
  const standing = parseStanding(fields)

  const parallelism = fields.object('parallelismSpec', 'the parallelism')
  const constant = parallelism?.int('constant', 0) || undefined
  if (constant !== undefined && constant > MAX_WORKERS)
    parallelism?.refuse('constant', `at most ${MAX_WORKERS} workers, found ${constant}`)
  parallelism?.end({ coefficient: 'give "constant"', maxWorkers: 'give "constant"' })
  const reprocess = fields.oneOf('reprocessSpec', ['until_success', 'every_job'])
  const sets = fields.object('datumSetSpec', 'the datum sets')
  const egress = fields.object('egress', 'the egress')
  refuseRawPods(fields)
  const scheduling = fields.object('schedulingSpec', 'the scheduling')
  const metadata = fields.object('metadata', 'the metadata')
  const budget = fields.object('budget', 'the budget')
  const spec = compact<PipelineSpec>({
    pipeline: owner,
    description: fields.string('description'),
    transform: parseTransform(transform),
    ...standing,
    input: parseInput(fields, standing),
    parallelismSpec: constant === undefined ? undefined : { constant },
    autoscaling: fields.bool('autoscaling') || undefined,
    ...parseResourcePair(fields),
    schedulingSpec: scheduling && parseScheduling(scheduling),
    tolerations: parseTolerations(fields),
    metadata: metadata && parseMetadata(metadata),
    budget: budget && parseBudget(budget),
    datumTries: fields.int('datumTries', 0) || 3,
    datumTimeout: fields.duration('datumTimeout'),
    jobTimeout: fields.duration('jobTimeout'),
    reprocessSpec: reprocess,
    maxFailedDatums: fields.int('maxFailedDatums', 0) ?? 0,
    backlog: fields.oneOf('backlog', ['every', 'latest']) ?? 'every',
    outputBranch: fields.has('outputBranch')
      ? name(fields, 'outputBranch', 'branch')
      : (void fields.raw('outputBranch'), DEFAULT_BRANCH),
    datumSetSpec: sets && parseSets(sets),
    salt: fields.string('salt'),
    egress: egress && parseSugar(egress),
  })
  if (fields.raw('s3Out') !== false && fields.has('s3Out'))
    refuseSpec(fields.at('s3Out'), `cannot use "s3Out": not supported yet: ${NOT_YET['s3Out']}`)
  const forced = isStanding(standing) ? standingFields(fields, transform, spec) : {}
  fields.end(NOT_YET)
  return { ...spec, ...forced }
}
