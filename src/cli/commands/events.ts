import type { Command } from 'commander'
import type { Act } from '../act.ts'
import { clean } from '../table.ts'
import { muted } from '../words.ts'

export function addEvents(program: Command, act: Act): void {
  program
    .command('events')
    .description('public events as they happen, until interrupted')
    .option('--after <id>', 'go on after this event; 0: from the beginning')
    .option('--limit <n>', 'end after so many', Number)
    .action(
      act(async (session, options: { after?: string; limit?: number }) => {
        const client = await session.client()
        const { output } = session
        let left = options.limit ?? Infinity
        const stop = new AbortController()
        const signal = AbortSignal.any([stop.signal, session.signal])
        const query = { project: session.project, after: options.after }
        try {
          for await (const { data } of client.events('GET /events', { query, signal })) {
            if (output.isText) {
              const at = muted(new Date(data.atMs).toISOString(), output.color)
              await output.line(`${at}  ${clean(data.type)}  ${clean(data.subject)}`)
            } else await output.line(output.format === 'name' ? data.id : JSON.stringify(data))
            if (--left <= 0) return
          }
        } finally {
          stop.abort()
        }
      }),
    )
}
