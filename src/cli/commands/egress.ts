import type { Command } from 'commander'
import type { EgressView } from '../../api/egresses.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import { addNamedVerb } from './named-verb.ts'
import { ageText, countText, many, stateText } from '../words.ts'

const stateOf = (row: EgressView): string =>
  row.state === 'paused' ? 'paused' : (row.live?.state ?? 'waiting: its host')

const rate = (perSecond: number): string => `${countText(perSecond)}/s`

export function addEgress(program: Command, act: Act): void {
  const group = program.command('egress').description('what takes commits out to a sink')
  group
    .command('list')
    .description('egresses, by name')
    .action(
      act(async (session) => {
        const { project } = session
        const client = await session.client()
        const rows = client.pages((after) =>
          client.call('GET /projects/:project/egresses', { params: { project }, query: { after } }),
        )
        const { color } = session.output
        await session.output.list(
          rows,
          [
            { header: 'NAME', text: (row) => row.name },
            { header: 'STATE', text: (row) => stateText(stateOf(row), color) },
            { header: 'DELIVERED', text: (row) => countText(row.deliveredRecords), right: true },
            {
              header: 'LAG',
              text: ({ live }) => (live ? many(live.lagCommits, 'commit') : ''),
              right: true,
            },
            { header: 'FROM', text: (row) => `${row.repo}@${row.branch}` },
            { header: 'CAUSE', text: (row) => row.live?.cause ?? row.cause ?? '' },
          ],
          (row) => row.name,
          'no egresses yet; put one: varve apply -f SPEC',
        )
      }),
    )
  for (const verb of ['inspect', 'status'] as const)
    group
      .command(`${verb} <name>`)
      .description(verb === 'status' ? 'where it stands' : 'one egress with its spec')
      .action(
        act(async (session, text: string) => {
          const { project, name } = session.name(text)
          const client = await session.client()
          const params = { project, egress: name }
          const row = await client.call('GET /projects/:project/egresses/:egress', { params })
          const { live, progress } = row
          await session.output.one(
            row,
            [
              ['name', row.name],
              ['state', stateText(stateOf(row), session.output.color)],
              ['cause', live?.cause ?? row.cause],
              ['from', `${row.repo}@${row.branch}`],
              ['delivered', many(row.deliveredRecords, 'record')],
              ['rate', live && rate(live.recordsPerSecond)],
              ['lag', live && many(live.lagCommits, 'commit')],
              ['last whole', row.base && shortId(row.base)],
              [
                'in hand',
                progress && !progress.done
                  ? `${shortId(progress.commit)}, ${many(progress.records, 'record')} sent`
                  : null,
              ],
              ['changed', ageText(row.updatedAtMs, session.world.nowMs())],
              ['spec', verb === 'inspect' ? JSON.stringify(row.spec, null, 2) : null],
            ],
            row.name,
          )
        }),
      )
  for (const [verb, done, words] of [
    ['pause', 'paused', 'stop sending; progress stays'],
    ['resume', 'resumed', 'send on from the stored progress'],
  ] as const)
    addNamedVerb(group, act, {
      verb,
      words,
      done: `${done} egress`,
      call: (client, { project, name }) =>
        client.call(`POST /projects/:project/egresses/:egress/${verb}`, {
          params: { project, egress: name },
        }),
    })
  addNamedVerb(group, act, {
    verb: 'delete',
    words: 'delete an egress; what it delivered stays',
    done: 'deleted egress',
    call: (client, { project, name }) =>
      client.call('DELETE /projects/:project/egresses/:egress', {
        params: { project, egress: name },
      }),
  })
}
