// `apply`: text to documents, documents to proposals. Everything is read and checked before the first
// of them is put. Spouts go first, then pipelines in the order data flows, then egresses, so that what
// a document names is there; otherwise the order is the author's.

import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Applied } from '../../api/apply.ts'
import { VarveError, isVarveError } from '../../base/errors.ts'
import type { Id } from '../../model/id.ts'
import type { Op } from '../../model/ops.ts'
import { refuseSpec } from '../../model/spec-fields.ts'
import { parsePipelineDocument } from '../../model/spec-pipeline.ts'
import type { PipelineSpec } from '../../model/spec-pipeline.ts'
import type { Request } from '../../versions/versions.ts'
import type { Handlers } from '../call.ts'
import type { Context, StreamDocuments } from '../context.ts'
import type { SpecDocument } from '../documents.ts'
import { readDocuments } from '../documents.ts'

type Apply = Pick<Handlers, 'POST /projects/:project/apply'>

const ORDER = { spout: 0, pipeline: 1, egress: 2 } as const

interface Step {
  readonly kind: Applied['kind']
  readonly name: string
  /** The repo a pipeline reads. */
  readonly reads?: string
  readonly plan: () => Promise<Applied>
  readonly put: (request: Request) => Promise<Applied>
}

export function applyHandlers(context: Context): Apply {
  return {
    'POST /projects/:project/apply': async ({ params: { project }, query, body, request }) => {
      const read = readDocuments(body).map((document) => readStep(context, project, document))
      refuseTwice(read)
      const steps = inOrder(read)
      const items: Applied[] = []
      for (const [n, step] of steps.entries())
        items.push(
          await (query.dryRun
            ? step.plan()
            : step.put({ ...request, id: derivedId(request.id, n) })),
        )
      return { items }
    },
  }
}

function readStep(context: Context, project: string, document: SpecDocument): Step {
  const step =
    document.kind === 'pipeline'
      ? pipelineStep(context, project, document)
      : streamStep(context, project, document, document.kind)
  return {
    ...step,
    plan: () => document.within(step.plan),
    put: (request) => document.within(() => step.put(request)),
  }
}

function pipelineStep(
  { versions, pipelines, documents, boundOf }: Context,
  project: string,
  document: SpecDocument,
): Step {
  const spec = document.parse((value) => {
    const parsed = parsePipelineDocument(value)
    checkEgress(documents, parsed)
    return parsed
  })
  const { name } = spec.pipeline
  const kind = 'pipeline'
  const bound = (): Applied['bound'] => boundOf?.(project, spec) ?? null
  return {
    kind,
    name,
    ...(spec.input && { reads: spec.input.pfs.repo }),
    plan: async () => {
      const before = await versions.pipeline(project, name)
      const plan = await pipelines.plan(project, document.value)
      const action = before ? 'update' : 'create'
      return { kind, name, action, plan: { ...plan, bound: bound() }, bound: bound() }
    },
    put: async (request) => {
      const before = await versions.pipeline(project, name)
      const after = await pipelines.put(project, document.value, request)
      const same = before?.version === after.version
      const action = before ? (same ? 'none' : 'update') : 'create'
      return { kind, name, action, plan: null, bound: bound() }
    },
  }
}

/** `egress:` in a pipeline is held to what a document of its own is; refusals point into the pipeline. */
function checkEgress(documents: StreamDocuments, spec: PipelineSpec): void {
  if (!spec.egress) return
  const { name } = spec.pipeline
  try {
    documents.egressPut({ egress: { name }, from: `${name}@${spec.outputBranch}`, ...spec.egress })
  } catch (error) {
    if (!isVarveError(error, 'INVALID_SPEC')) throw error
    const pointer = error.details?.['pointer']
    if (typeof pointer !== 'string') throw error
    refuseSpec(`/egress${pointer}`, error.message)
  }
}

function streamStep(
  { versions, documents }: Context,
  project: string,
  document: SpecDocument,
  kind: 'spout' | 'egress',
): Step {
  const put = document.parse((value) =>
    kind === 'spout' ? documents.spoutPut(value) : documents.egressPut(value),
  )
  const { name } = put
  const plan = async (): Promise<Applied> => {
    const before = await (kind === 'spout'
      ? versions.spout(project, name)
      : versions.egress(project, name))
    if (!before) return { kind, name, action: 'create', plan: null, bound: null }
    const same =
      before.repo === put.repo &&
      before.branch === put.branch &&
      isDeepStrictEqual(before.spec, put.spec)
    return { kind, name, action: same ? 'none' : 'update', plan: null, bound: null }
  }
  return {
    kind,
    name,
    plan,
    put: async (request) => {
      const applied = await plan()
      if (applied.action === 'none') return applied
      const op: Op =
        kind === 'spout' ? { op: 'spout.put', spout: put } : { op: 'egress.put', egress: put }
      await versions.propose(project, [op], request)
      return applied
    },
  }
}

/** By kind; a pipeline after the one whose output it reads. A circle keeps its order and is refused later. */
function inOrder(steps: readonly Step[]): Step[] {
  const sorted: Step[] = []
  const byName = new Map(steps.map((step) => [`${step.kind} ${step.name}`, step]))
  const visit = (step: Step): void => {
    if (!byName.delete(`${step.kind} ${step.name}`)) return
    const before = byName.get(`pipeline ${step.reads ?? ''}`)
    if (before) visit(before)
    sorted.push(step)
  }
  for (const step of steps.toSorted((a, b) => ORDER[a.kind] - ORDER[b.kind])) visit(step)
  return sorted
}

function refuseTwice(steps: readonly Step[]): void {
  const seen = new Set<string>()
  for (const { kind, name } of steps) {
    if (seen.has(`${kind} ${name}`))
      throw new VarveError(
        'INVALID_SPEC',
        `cannot apply the ${kind} "${name}" twice in one request`,
      )
    seen.add(`${kind} ${name}`)
  }
}

/** One request puts many: its own id for the first, ids made from it for the others. */
function derivedId(id: Id, n: number): Id {
  if (n === 0) return id
  const tail = createHash('sha256').update(`${id} ${n}`).digest('hex').slice(0, 15)
  return `${id.slice(0, 16)}8${tail}` as Id
}
