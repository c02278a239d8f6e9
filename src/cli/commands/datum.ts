import type { Command } from 'commander'
import { Option } from 'commander'
import type { DatumInfo } from '../../api/datums.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import { durationText, stateText } from '../words.ts'

const STATES = ['queued', 'running', 'success', 'failed', 'recovered', 'skipped'] as const

const inputText = (row: DatumInfo): string =>
  row.inputs.map((one) => `${one.name}:/${one.path}`).join(' ')

function exitText({ exit }: DatumInfo): string | null {
  if (!exit) return null
  if (exit.timedOut) return 'timed out'
  return exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`
}

export function addDatum(program: Command, act: Act): void {
  const group = program.command('datum').description('the smallest pieces of work of a job')
  group
    .command('list <pipeline[@job]>')
    .description('datums of a job')
    .addOption(new Option('--state <state>', 'only those').choices(STATES))
    .option('--limit <n>', 'at most so many', Number)
    .action(
      act(
        async (
          session,
          text: string,
          options: { state?: (typeof STATES)[number]; limit?: number },
        ) => {
          const { project, name, version } = session.job(text)
          const client = await session.client()
          const rows = client.lines('GET /projects/:project/pipelines/:pipeline/jobs/:job/datums', {
            params: { project, pipeline: name, job: version },
            query: options,
          })
          const { color } = session.output
          await session.output.list(
            rows,
            [
              { header: 'ID', text: (row) => shortId(row.id) },
              { header: 'STATE', text: (row) => stateText(row.state, color) },
              { header: 'WHY', text: (row) => row.why },
              { header: 'INPUT', text: inputText },
              {
                header: 'TOOK',
                text: ({ times }) => (times ? durationText(times.runMs) : ''),
                right: true,
              },
              { header: 'EXIT', text: (row) => exitText(row) ?? '' },
              { header: 'WAITS FOR', text: (row) => row.waiting?.cause ?? '' },
              { header: 'FULL ID', text: (row) => row.id, wide: true },
            ],
            (row) => row.id,
            'no datums',
          )
        },
      ),
    )
  group
    .command('inspect <pipeline[@job]> <datum>')
    .description('one datum: why it ran or did not, how it ended')
    .action(
      act(async (session, text: string, datum: string) => {
        const { project, name, version } = session.job(text)
        const client = await session.client()
        const row = await client.call(
          'GET /projects/:project/pipelines/:pipeline/jobs/:job/datums/:datum',
          { params: { project, pipeline: name, job: version, datum } },
        )
        const { times } = row
        await session.output.one(
          row,
          [
            ['datum', row.id],
            ['state', stateText(row.state, session.output.color)],
            ['why', row.why],
            ['waits for', row.waiting && row.waiting.cause],
            ['try', row.waiting && row.waiting.remedy],
            ['run by', row.job],
            ['inputs', row.inputs.map((one) => `${one.name}:/${one.path}`).join('\n')],
            ['attempts', String(row.attempts)],
            ['ended with', exitText(row)],
            [
              'times',
              times &&
                `layout ${durationText(times.layoutMs)}, run ${durationText(times.runMs)}, upload ${durationText(times.uploadMs)}`,
            ],
            ['last lines', row.lastLines.join('\n')],
          ],
          row.id,
        )
      }),
    )
}
