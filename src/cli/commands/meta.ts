import type { Command } from 'commander'
import type { Act } from '../act.ts'

export function addMeta(program: Command, act: Act): void {
  program
    .command('version')
    .description('version of this program and of the server')
    .action(
      act(async (session) => {
        const own = program.version() ?? 'unknown'
        const client = await session.client().catch(() => undefined)
        const server = await client?.call('GET /version').catch(() => undefined)
        await session.output.one(
          { program: own, server: server?.version ?? null },
          [
            ['program', own],
            ['server', server?.version ?? 'none reached'],
          ],
          own,
        )
      }),
    )
  program
    .command('openapi')
    .description('every route of the API, as OpenAPI 3.1; needs no server')
    .action(
      act(async (session) => {
        const { openapi } = await import('../../api/openapi.ts')
        const document = openapi(program.version() ?? '0.0.0')
        if (session.output.isText) await session.output.line(JSON.stringify(document, null, 2))
        else await session.output.value(document)
      }),
    )
}
