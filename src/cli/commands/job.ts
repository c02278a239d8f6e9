import type { Command } from 'commander'
import type { JobView } from '../../api/jobs.ts'
import { waitingState } from '../../model/hindrance.ts'
import { standingWords } from '../../model/spec-standing.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import type { Session } from '../session.ts'
import { waitUntil } from '../wait.ts'
import { ageText, countText, durationText, stateText } from '../words.ts'

const nameOf = (row: JobView): string => `${row.pipeline}@${row.id}`

const stateOf = (row: JobView): string => (row.waiting ? waitingState(row.waiting) : row.state)

function nextTry(row: JobView): string | null {
  if (row.waiting) return row.waiting.remedy
  return row.state === 'failed' ? `varve datum list ${nameOf(row)} --state failed` : null
}

function tookText(row: JobView, nowMs: number): string {
  return durationText((row.endedAtMs ?? nowMs) - row.startedAtMs)
}

async function show(session: Session, row: JobView): Promise<void> {
  await session.output.one(
    row,
    [
      ['job', nameOf(row)],
      ['state', stateText(stateOf(row), session.output.color)],
      ['cause', row.waiting?.cause ?? row.cause?.text ?? null],
      ['pipeline', `${row.pipeline} version ${row.pipelineVersion}`],
      ['output', `${row.commit.repo}@${row.commit.branch}=${row.commit.id}`],
      ...(row.standing ? standingRows(row) : datumRows(row)),
      ['started', ageText(row.startedAtMs, session.world.nowMs())],
      ['took', tookText(row, session.world.nowMs())],
      ['try', nextTry(row)],
    ],
    nameOf(row),
  )
}

type Rows = readonly (readonly [string, string | null])[]

function datumRows({ planned, counts, progress }: JobView): Rows {
  return [
    ['datums', `${planned.total} in all, ${planned.run} to run, ${planned.reuse} reused`],
    ['done', progress && `${progress.done} of ${progress.toRun}, ${progress.failed} failed`],
    ['result', counts && `${counts.ran} run, ${counts.reused} reused, ${counts.failed} failed`],
  ]
}

function standingRows({ endedAtMs, progress }: JobView): Rows {
  return endedAtMs === null ? [['runs', standingWords(progress)]] : []
}

/** There is nothing more to wait for. */
const hasArrived = (row: JobView): boolean =>
  row.endedAtMs !== null || (row.standing && row.state === 'running')

export function addJob(program: Command, act: Act): void {
  const group = program.command('job').description('runs of a pipeline, one for each commit')
  group
    .command('list [pipeline]')
    .description('jobs, newest first, of one pipeline or of all')
    .option('--limit <n>', 'at most so many', Number, 20)
    .action(
      act(async (session, text: string | undefined, options: { limit: number }) => {
        const named = text === undefined ? undefined : session.name(text)
        const project = named?.project ?? session.project
        const client = await session.client()
        const rows = client.pages(
          (after) =>
            client.call('GET /projects/:project/jobs', {
              params: { project },
              query: { pipeline: named?.name, after, limit: Math.min(options.limit, 1000) },
            }),
          options.limit,
        )
        const { color } = session.output
        const { nowMs } = session.world
        await session.output.list(
          rows,
          [
            { header: 'ID', text: (row) => shortId(row.id) },
            { header: 'PIPELINE', text: (row) => row.pipeline },
            { header: 'STATE', text: (row) => stateText(stateOf(row), color) },
            {
              header: 'RUN',
              text: (row) => countText(row.counts?.ran ?? row.planned.run),
              right: true,
            },
            {
              header: 'REUSED',
              text: (row) => countText(row.counts?.reused ?? row.planned.reuse),
              right: true,
            },
            { header: 'FAILED', text: (row) => countText(row.counts?.failed ?? 0), right: true },
            { header: 'TOOK', text: (row) => tookText(row, nowMs()), right: true },
            { header: 'AGE', text: (row) => ageText(row.startedAtMs, nowMs()) },
            { header: 'FULL ID', text: (row) => row.id, wide: true },
          ],
          nameOf,
          'no jobs yet',
        )
      }),
    )
  group
    .command('inspect <pipeline[@job]>')
    .description('one job')
    .action(
      act(async (session, text: string) => {
        const { project, name, version } = session.job(text)
        const client = await session.client()
        const params = { project, pipeline: name, job: version }
        await show(
          session,
          await client.call('GET /projects/:project/pipelines/:pipeline/jobs/:job', { params }),
        )
      }),
    )
  group
    .command('wait <pipeline[@job]>')
    .description('wait until a job has ended, or runs where it is without end')
    .option('--timeout <duration>', 'give up after so long (exit code 124): 30s, 5m')
    .action(
      act(async (session, text: string, options: { timeout?: string }) => {
        const { project, name, version } = session.job(text)
        const client = await session.client()
        const row = await waitUntil<JobView>(session, options.timeout, {
          ask: (timeoutMs, now) =>
            client.call('GET /projects/:project/pipelines/:pipeline/jobs/:job/wait', {
              params: { project, pipeline: name, job: now?.id ?? version },
              query: { timeoutMs },
              signal: session.signal,
            }),
          ended: hasArrived,
          good: ({ state }) => state === 'finished' || state === 'running',
          words: (one) => `job ${one.pipeline} ${shortId(one.id)}: ${stateText(one.state, false)}`,
          why: ({ cause }) => cause?.text,
        })
        await show(session, row)
      }),
    )
  group
    .command('stop <pipeline[@job]>')
    .description('stop a job; what is done stays done')
    .action(
      act(async (session, text: string) => {
        const { project, name, version } = session.job(text)
        const client = await session.client()
        const row = await client.call(
          'POST /projects/:project/pipelines/:pipeline/jobs/:job/stop',
          { params: { project, pipeline: name, job: version } },
        )
        session.output.note(`stopping job ${row.pipeline} ${shortId(row.id)}`)
      }),
    )
}
