import type { Command } from 'commander'
import type { Act } from '../act.ts'
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
            ['created', ageText(row.createdAtMs, session.world.nowMs())],
          ],
          row.name,
        )
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
