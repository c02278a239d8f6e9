import type { Command } from 'commander'
import type { PoolView } from '../../api/pools.ts'
import { isTrouble } from '../../model/hindrance.ts'
import type { Act } from '../act.ts'
import { ageText, stateText } from '../words.ts'

type Pod = PoolView['pods'][number]

/** What is in the way, in one line: the start of a pod is not. */
const causeText = ({ cause }: Pick<PoolView, 'cause'>): string =>
  isTrouble(cause) ? cause.cause : ''

function podLine(pod: Pod, color: boolean): string {
  const words = [pod.name, stateText(pod.state, color)]
  if (pod.busy) words.push('busy')
  if (pod.node !== null) words.push(`on ${pod.node}`)
  return words.join('  ') + (isTrouble(pod.cause) ? `: ${pod.cause.cause}` : '')
}

/** Of the pool itself, else of a pod of its; each once. */
function tries({ cause, pods }: PoolView): string[] {
  const causes = [cause, ...pods.map((pod) => pod.cause)].filter(isTrouble)
  return [...new Set(causes.map((one) => one.remedy))]
}

export function addPool(program: Command, act: Act): void {
  const group = program.command('pool').description('workers that run the code of pipelines')
  group
    .command('list')
    .description('pools, by name, and what is in their way')
    .action(
      act(async (session) => {
        const { project } = session
        const client = await session.client()
        const rows = client.pages((after) =>
          client.call('GET /projects/:project/pools', { params: { project }, query: { after } }),
        )
        const { color } = session.output
        await session.output.list(
          rows,
          [
            { header: 'NAME', text: (row) => row.pool },
            { header: 'STATE', text: (row) => stateText(row.state, color) },
            { header: 'RUNNING', text: (row) => `${row.running} of ${row.replicas}`, right: true },
            { header: 'WANTED', text: (row) => String(row.wanted), right: true },
            { header: 'PIPELINES', text: (row) => row.pipelines.join(' ') || '-' },
            { header: 'ADDRESS', text: (row) => row.address ?? '', wide: true },
            { header: 'CAUSE', text: causeText },
          ],
          (row) => row.pool,
          'no pools: one is made when a pipeline needs it',
        )
      }),
    )
  group
    .command('inspect <name>')
    .description('one pool: its pods, why they do not run, what to try next')
    .action(
      act(async (session, text: string) => {
        const { project, name } = session.name(text)
        const client = await session.client()
        const params = { project, pool: name }
        const row = await client.call('GET /projects/:project/pools/:pool', { params })
        const { color } = session.output
        const nowMs = session.world.nowMs()
        await session.output.one(
          row,
          [
            ['name', row.pool],
            ['state', stateText(row.state, color)],
            ['cause', row.cause && row.cause.cause],
            ['try', tries(row).join('\n')],
            ['address', row.address],
            ['workers', `${row.running} of ${row.replicas} run, ${row.wanted} wanted`],
            ['pipelines', row.pipelines.join(' ')],
            ['image', row.image ?? 'none: a process beside its worker'],
            ['last change', row.change],
            ['pods', row.pods.map((pod) => podLine(pod, color)).join('\n')],
            [
              'ended',
              row.ends
                .toReversed()
                .map(({ pod, cause, atMs }) => `${pod}  ${ageText(atMs, nowMs)}: ${cause.cause}`)
                .join('\n'),
            ],
          ],
          row.pool,
        )
      }),
    )
}
