import type { Command } from 'commander'
import { VarveError } from '../../base/errors.ts'
import type { Act } from '../act.ts'
import type { KeepOptions } from '../keep.ts'
import { addKeepOptions, keepOf, keepText } from '../keep.ts'
import { ageText, bytesText, countText } from '../words.ts'

export function addRepo(program: Command, act: Act): void {
  const group = program.command('repo').description('versioned trees of files')
  group
    .command('list')
    .description('repos, by name')
    .action(
      act(async (session) => {
        const { project } = session
        const client = await session.client()
        const rows = client.pages((after) =>
          client.call('GET /projects/:project/repos', { params: { project }, query: { after } }),
        )
        await session.output.list(
          rows,
          [
            { header: 'NAME', text: (row) => row.name },
            { header: 'BRANCHES', text: (row) => countText(row.branches), right: true },
            { header: 'FILES', text: (row) => countText(row.files), right: true },
            { header: 'SIZE', text: (row) => bytesText(row.bytes), right: true },
            { header: 'FILLED BY', text: (row) => row.pipeline ?? '' },
            { header: 'AGE', text: (row) => ageText(row.createdAtMs, session.world.nowMs()) },
          ],
          (row) => row.name,
          'no repos yet; create one: varve repo create NAME',
        )
      }),
    )
  group
    .command('create <name>')
    .description('create a repo')
    .action(
      act(async (session, text: string) => {
        const { project, name } = session.name(text)
        const client = await session.client()
        const params = { project }
        const row = await client.call('POST /projects/:project/repos', { params, body: { name } })
        session.output.note(`created repo ${row.name}`)
      }),
    )
  group
    .command('inspect <name>')
    .description('one repo')
    .action(
      act(async (session, text: string) => {
        const { project, name } = session.name(text)
        const client = await session.client()
        const params = { project, repo: name }
        const row = await client.call('GET /projects/:project/repos/:repo', { params })
        await session.output.one(
          row,
          [
            ['name', row.name],
            ['filled by', row.pipeline],
            ['branches', countText(row.branches)],
            ['files', countText(row.files)],
            ['size', bytesText(row.bytes)],
            ['keeps', row.keep && keepText(row.keep)],
            ['created', ageText(row.createdAtMs, session.world.nowMs())],
          ],
          row.name,
        )
      }),
    )
  addKeepOptions(
    group
      .command('keep <name>')
      .description('which commits of its branches are kept; others are dropped'),
  ).action(
    act(async (session, text: string, options: KeepOptions) => {
      const { project, name } = session.name(text)
      const keep = keepOf(options)
      if (keep === undefined)
        throw new VarveError(
          'INVALID_OPTION',
          'cannot set no rule: give --last, --younger or --all',
        )
      const client = await session.client()
      const row = await client.call('PUT /projects/:project/repos/:repo/retention', {
        params: { project, repo: name },
        body: { keep },
      })
      if (!session.output.isText) return session.output.one(row, [], row.name)
      session.output.note(`repo ${name} keeps ${keepText(keep)}`)
    }),
  )
  group
    .command('delete <name>')
    .description('delete a repo with its branches and commits')
    .option('--force', 'also when others are made from it')
    .action(
      act(async (session, text: string, options: { force?: boolean }) => {
        const { project, name } = session.name(text)
        const client = await session.client()
        const params = { project, repo: name }
        const query = { force: options.force }
        await client.call('DELETE /projects/:project/repos/:repo', { params, query })
        session.output.note(`deleted repo ${name}`)
      }),
    )
}
