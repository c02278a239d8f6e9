import type { Command } from 'commander'
import type { SpoutView } from '../../api/spouts.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import { addNamedVerb } from './named-verb.ts'
import { ageText, bytesText, countText, stateText } from '../words.ts'

const stateOf = (row: SpoutView): string =>
  row.state === 'paused' ? 'paused' : (row.live?.state ?? 'waiting: its host')

const rate = (perSecond: number): string => `${countText(perSecond)}/s`

/** A position without the identity of its source, which stands behind "@". */
const shown = (position: string | null): string | undefined => position?.split('@', 1)[0]

export function addSpout(program: Command, act: Act): void {
  const group = program.command('spout').description('what brings feeds into commits')
  group
    .command('list')
    .description('spouts, by name')
    .action(
      act(async (session) => {
        const { project } = session
        const client = await session.client()
        const rows = client.pages((after) =>
          client.call('GET /projects/:project/spouts', { params: { project }, query: { after } }),
        )
        const { color } = session.output
        await session.output.list(
          rows,
          [
            { header: 'NAME', text: (row) => row.name },
            { header: 'STATE', text: (row) => stateText(stateOf(row), color) },
            {
              header: 'RECORDS',
              text: ({ live }) => (live ? rate(live.recordsPerSecond) : ''),
              right: true,
            },
            {
              header: 'LAG',
              text: ({ live }) => (live?.lagRecords == null ? '' : countText(live.lagRecords)),
              right: true,
            },
            { header: 'INTO', text: (row) => `${row.repo}@${row.branch}` },
            { header: 'CAUSE', text: (row) => row.live?.cause ?? row.cause ?? '' },
          ],
          (row) => row.name,
          'no spouts yet; put one: varve apply -f SPEC',
        )
      }),
    )
  for (const verb of ['inspect', 'status'] as const)
    group
      .command(`${verb} <name>`)
      .description(verb === 'status' ? 'where it stands' : 'one spout with its spec')
      .action(
        act(async (session, text: string) => {
          const { project, name } = session.name(text)
          const client = await session.client()
          const params = { project, spout: name }
          const row = await client.call('GET /projects/:project/spouts/:spout', { params })
          const { live } = row
          const parts = live
            ? Object.entries(live.parts).map(
                ([part, at]) =>
                  `${part}  ${shown(at.position) ?? 'start'} of ${shown(at.end) ?? 'unknown'}` +
                  (at.lagRecords === null ? '' : `, lag ${countText(at.lagRecords)}`),
              )
            : Object.entries(row.positions).map(([part, position]) => `${part}  ${shown(position)}`)
          await session.output.one(
            row,
            [
              ['name', row.name],
              ['state', stateText(stateOf(row), session.output.color)],
              ['cause', live?.cause ?? row.cause],
              ['into', `${row.repo}@${row.branch}`],
              ['records', live && rate(live.recordsPerSecond)],
              ['lag', live?.lagRecords == null ? null : countText(live.lagRecords)],
              [
                'in hand',
                live && `${countText(live.openRecords)} records, ${bytesText(live.openBytes)}`,
              ],
              ['next commit', live && live.nextFlush],
              ['last commit', live?.lastCommitId ? shortId(live.lastCommitId) : null],
              ['positions', parts.join('\n')],
              ['changed', ageText(row.updatedAtMs, session.world.nowMs())],
              ['spec', verb === 'inspect' ? JSON.stringify(row.spec, null, 2) : null],
            ],
            row.name,
          )
        }),
      )
  for (const [verb, done, words] of [
    ['pause', 'paused', 'stop reading; positions stay'],
    ['resume', 'resumed', 'read on from the stored positions'],
  ] as const)
    addNamedVerb(group, act, {
      verb,
      words,
      done: `${done} spout`,
      call: (client, { project, name }) =>
        client.call(`POST /projects/:project/spouts/:spout/${verb}`, {
          params: { project, spout: name },
        }),
    })
  addNamedVerb(group, act, {
    verb: 'delete',
    words: 'delete a spout; what it committed stays',
    done: 'deleted spout',
    call: (client, { project, name }) =>
      client.call('DELETE /projects/:project/spouts/:spout', {
        params: { project, spout: name },
      }),
  })
}
