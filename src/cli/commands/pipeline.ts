import type { Command } from 'commander'
import type { PipelineView } from '../../api/pipelines.ts'
import { isTrouble, waitingState } from '../../model/hindrance.ts'
import type { Hindrance } from '../../model/pool-status.ts'
import type { Act } from '../act.ts'
import { addNamedVerb } from './named-verb.ts'
import { ageText, boundText, many, stateText } from '../words.ts'

/** The state a person asks about: stopped, what its newest job is, or what it waits for. */
export function pipelineState(row: PipelineView): string {
  if (row.state === 'stopped') return 'stopped'
  if (row.lastJob?.waiting) return waitingState(row.lastJob.waiting)
  if (row.lastJob?.endedAtMs === null) return 'running'
  if (row.waitingFor) {
    return row.waitingFor.startsWith('waiting') ? row.waitingFor : `waiting: ${row.waitingFor}`
  }
  return row.lastJob?.state ?? 'waiting: first commit'
}

/** What keeps its workers from being there, or from being as many as asked for. */
function hindrance({ lastJob, pool }: PipelineView): Hindrance | null {
  const cause = lastJob?.waiting ?? pool?.cause ?? null
  return isTrouble(cause) ? cause : null
}

const workersText = ({ pool }: PipelineView): string | null =>
  pool && `${pool.running} of ${pool.replicas} run, ${pool.wanted} wanted`

export function addPipeline(program: Command, act: Act): void {
  const group = program.command('pipeline').description('user code run over inputs')
  group
    .command('list')
    .description('pipelines, by name')
    .action(
      act(async (session) => {
        const { project } = session
        const client = await session.client()
        const { color } = session.output
        const rows = client.pages((after) =>
          client.call('GET /projects/:project/pipelines', {
            params: { project },
            query: { after },
          }),
        )
        await session.output.list(
          rows,
          [
            { header: 'NAME', text: (row) => row.name },
            { header: 'VERSION', text: (row) => String(row.version), right: true },
            { header: 'STATE', text: (row) => stateText(pipelineState(row), color) },
            {
              header: 'INPUT',
              text: (row) => row.inputs.map((one) => `${one.repo}@${one.branch}`).join(' '),
            },
            {
              header: 'LAST JOB',
              text: (row) =>
                row.lastJob ? ageText(row.lastJob.startedAtMs, session.world.nowMs()) : '',
            },
            { header: 'CAUSE', text: (row) => hindrance(row)?.cause ?? '' },
          ],
          (row) => row.name,
          'no pipelines yet; put one: varve apply -f SPEC',
        )
      }),
    )
  group
    .command('inspect <name>')
    .description('one pipeline with its spec')
    .action(
      act(async (session, text: string) => {
        const { project, name } = session.name(text)
        const client = await session.client()
        const params = { project, pipeline: name }
        const row = await client.call('GET /projects/:project/pipelines/:pipeline', { params })
        await session.output.one(
          row,
          [
            ['name', row.name],
            ['version', String(row.version)],
            ['state', stateText(pipelineState(row), session.output.color)],
            ['input', row.inputs.map((one) => `${one.repo}@${one.branch}`).join(' ')],
            ['output', `${row.output.repo}@${row.output.branch}`],
            ['cause', hindrance(row)?.cause ?? row.lastJob?.cause?.text ?? null],
            ['try', hindrance(row)?.remedy ?? null],
            ['address', row.pool?.address ?? null],
            ['workers', workersText(row)],
            ['pool', row.pool?.pool ?? null],
            ['changed', ageText(row.updatedAtMs, session.world.nowMs())],
            ['spec', JSON.stringify(row.spec, null, 2)],
          ],
          row.name,
        )
      }),
    )
  group
    .command('plan <name>')
    .description('what putting the pipeline as it is would run and reuse now')
    .action(
      act(async (session, text: string) => {
        const { project, name } = session.name(text)
        const client = await session.client()
        const params = { project, pipeline: name }
        const plan = await client.call('GET /projects/:project/pipelines/:pipeline/plan', {
          params,
        })
        await session.output.one(
          plan,
          [
            ['total', many(plan.total, 'datum')],
            ['run', String(plan.run)],
            ['reuse', String(plan.reuse)],
            ['at once', plan.bound && boundText(plan.bound)],
            ['warnings', plan.warnings.join('\n')],
          ],
          name,
        )
      }),
    )
  for (const [verb, done, words] of [
    ['stop', 'stopped', 'open no more commits for it'],
    ['start', 'started', 'go on at the current tips of its inputs'],
  ] as const)
    addNamedVerb(group, act, {
      verb,
      words,
      done: `${done} pipeline`,
      call: (client, { project, name }) =>
        client.call(`POST /projects/:project/pipelines/:pipeline/${verb}`, {
          params: { project, pipeline: name },
        }),
    })
  addNamedVerb(group, act, {
    verb: 'delete',
    words: 'delete a pipeline; its output repo stays',
    done: 'deleted pipeline',
    call: (client, { project, name }) =>
      client.call('DELETE /projects/:project/pipelines/:pipeline', {
        params: { project, pipeline: name },
      }),
  })
}
