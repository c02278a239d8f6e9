import type { Command } from 'commander'
import type { Act } from '../act.ts'
import { ageText } from '../words.ts'

export function addProject(program: Command, act: Act): void {
  const group = program.command('project').description('namespaces, each with a log of its own')
  group
    .command('list')
    .description('projects, by name')
    .action(
      act(async (session) => {
        const client = await session.client()
        const rows = client.pages((after) => client.call('GET /projects', { query: { after } }))
        await session.output.list(
          rows,
          [
            { header: 'NAME', text: (row) => row.name },
            { header: 'AGE', text: (row) => ageText(row.createdAtMs, session.world.nowMs()) },
          ],
          (row) => row.name,
        )
      }),
    )
  group
    .command('create <name>')
    .description('create a project')
    .action(
      act(async (session, name: string) => {
        const client = await session.client()
        const row = await client.call('POST /projects', { body: { name } })
        session.output.note(`created project ${row.name}`)
      }),
    )
  group
    .command('inspect <name>')
    .description('one project')
    .action(
      act(async (session, name: string) => {
        const client = await session.client()
        const row = await client.call('GET /projects/:project', { params: { project: name } })
        await session.output.one(
          row,
          [
            ['name', row.name],
            ['created', ageText(row.createdAtMs, session.world.nowMs())],
          ],
          row.name,
        )
      }),
    )
}
