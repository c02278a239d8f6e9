import type { Command } from 'commander'
import { VarveError } from '../../base/errors.ts'
import { durationMs } from '../../model/spec-fields.ts'
import type { Act } from '../act.ts'

export function addWorkerToken(program: Command, act: Act): void {
  program
    .command('worker-token')
    .description('make a token for "varve work": it opens the routes of workers and no other')
    .option('--pool <name>', 'pool its workers are of (default "default")')
    .option('--ttl <duration>', 'how long it opens anything: 12h, 7d (default 30d)')
    .action(
      act(async (session, { pool, ttl }: { pool?: string; ttl?: string }) => {
        const client = await session.client()
        const body = {
          ...(pool === undefined ? {} : { pool }),
          ...(ttl === undefined ? {} : { ttlSeconds: seconds(ttl) }),
        }
        const made = await client.call('POST /worker-tokens', { body, signal: session.signal })
        if (!session.output.isText) return session.output.value(made)
        await session.output.line(made.token)
        const until = new Date(made.expiresAtMs).toISOString()
        session.output.note(`for workers of the pool "${made.pool}", until ${until}`)
      }),
    )
}

function seconds(text: string): number {
  const ms = durationMs(text)
  if (ms !== undefined) return Math.ceil(ms / 1000)
  throw new VarveError(
    'INVALID_OPTION',
    `cannot use "${text}" for --ttl: write a duration such as 12h`,
  )
}
