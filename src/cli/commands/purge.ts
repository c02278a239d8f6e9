import type { Command } from 'commander'
import { Option } from 'commander'
import type { PurgeReceiptView, PurgeView } from '../../api/purges.ts'
import { VarveError } from '../../base/errors.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import type { Output } from '../output.ts'
import { ageText, bytesText, many } from '../words.ts'

interface Options {
  readonly plan?: boolean
  readonly alsoCopies?: boolean
  readonly waitMs?: number
}

export function addPurge(program: Command, act: Act): void {
  const group = program.command('purge').description('files taken out of all commits, for ever')
  group
    .command('run <repo> <path...>')
    .description('take files or directories out of every commit of a repo; ids stay as they are')
    .option('--plan', 'only say what would go, and what is out of reach')
    .option('--also-copies', 'directories copied elsewhere may lose the entries there as well')
    .addOption(
      new Option(
        '--wait-ms <n>',
        'time for writers to learn what is to go; default: 2 minutes',
      ).argParser(Number),
    )
    .action(
      act(async (session, name: string, paths: string[], options: Options) => {
        const { output } = session
        const { project, name: repo } = session.name(name)
        const client = await session.client()
        let last: PurgeReceiptView | undefined
        let hasEnded = false
        for await (const step of client.lines('POST /projects/:project/repos/:repo/purges', {
          params: { project, repo },
          query: { ...options },
          body: { paths: paths.map((path) => path.replace(/^\/+/, '')) },
          signal: session.signal,
        })) {
          if (!output.isText) await output.line(JSON.stringify(step))
          if ('receipt' in step) {
            last = step.receipt
            hasEnded = step.phase === 'done'
            if (output.isText && step.phase === 'found') sayFound(step.receipt, output)
          } else if (output.isText) {
            const { phase } = step.step
            if (phase === 'waiting') output.note('nobody reads it any more; its bytes go next')
            if (phase === 'repacking') output.note('writing packs anew without it')
          }
        }
        if (last && hasEnded && output.isText) sayDone(last, output)
        if (!last || (!hasEnded && !options.plan))
          throw new VarveError(
            'UNAVAILABLE',
            'cannot tell how the purge ended: run it again, it goes on where it was',
          )
      }),
    )
  group
    .command('list')
    .description('purges, oldest first')
    .action(
      act(async (session) => {
        const { project } = session
        const client = await session.client()
        const rows = client.pages((after) =>
          client.call('GET /projects/:project/purges', { params: { project }, query: { after } }),
        )
        await session.output.list(
          rows,
          [
            { header: 'PURGE', text: (row: PurgeView) => shortId(row.id) },
            { header: 'STATE', text: (row: PurgeView) => row.state },
            { header: 'REPO', text: (row: PurgeView) => row.repo },
            { header: 'PATHS', text: ({ receipt }: PurgeView) => receipt.paths.join(' ') },
            {
              header: 'WHEN',
              text: (row: PurgeView) => ageText(row.atMs, session.world.nowMs()),
            },
          ],
          (row) => row.id,
          'nothing was purged yet',
        )
      }),
    )
  group
    .command('inspect <id>')
    .description('the receipt of one purge')
    .action(
      act(async (session, id: string) => {
        const { project } = session
        const client = await session.client()
        const params = { project, purge: id }
        const row = await client.call('GET /projects/:project/purges/:purge', { params })
        const { receipt, ...rest } = row
        const { found, done } = receipt
        await session.output.one(
          row,
          [
            ['purge', rest.id],
            ['state', rest.state],
            ['repo', rest.repo],
            ['paths', receipt.paths.join('\n')],
            ['by', receipt.by],
            ['commits', `${found.trees.length} had it`],
            ['files', `${many(found.files, 'content')}, ${bytesText(found.bytes)}`],
            ['rewritten', done && many(done.packs, 'pack')],
            [
              'elsewhere',
              found.elsewhere.map((one) => `${one.name}:/${one.path}`).join('\n') || null,
            ],
            ['out of reach', receipt.outOfReach.join('\n')],
          ],
          row.id,
        )
      }),
    )
}

function sayFound({ found, derived, outOfReach }: PurgeReceiptView, output: Output): void {
  output.note(
    `${many(found.trees.length, 'commit')} had it: ${many(found.files, 'content')}, ${bytesText(found.bytes)}`,
  )
  for (const { name, path, has } of found.elsewhere)
    output.note(
      has === 'content'
        ? `the same bytes are in ${name} at "/${path}", and stay there: purge that as well if it is meant`
        : `the same directory stands in ${name} at "/${path}", and would lose it there as well`,
    )
  if (found.elsewhereMore > 0) output.note(`and in ${found.elsewhereMore} places more`)
  if (derived.length > 0 || outOfReach.length > 0) output.note('out of reach:')
  for (const words of outOfReach) output.note(`  ${words}`)
}

function sayDone({ purge, done }: PurgeReceiptView, output: Output): void {
  if (!done) return
  const { packs, sharedPieces } = done
  const shared = sharedPieces > 0 ? `; ${many(sharedPieces, 'piece')} stay, used elsewhere` : ''
  output.note(`purged: ${many(packs, 'pack')} written anew without it${shared}`)
  output.note(`receipt ${purge}: varve purge inspect ${purge}`)
}
