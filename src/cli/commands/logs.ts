import type { Command } from 'commander'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import { clean } from '../table.ts'
import { muted } from '../words.ts'

export function addLogs(program: Command, act: Act): void {
  program
    .command('logs <pipeline[@job]>')
    .description('what the code of a pipeline wrote')
    .option('-f, --follow', 'stay for new lines')
    .option('--datum <id>', 'only of this datum')
    .option('--tail <n>', 'only the last so many', Number)
    .action(
      act(
        async (
          session,
          text: string,
          options: { follow?: boolean; datum?: string; tail?: number },
        ) => {
          const { project, repo: pipeline, version: job } = session.ref(text)
          const client = await session.client()
          const lines = client.lines('GET /projects/:project/pipelines/:pipeline/logs', {
            params: { project, pipeline },
            query: { job, ...options },
            signal: session.signal,
          })
          const { output } = session
          if (output.format === 'json' || output.format === 'yaml')
            return output.value(await Array.fromAsync(lines))
          for await (const line of lines) {
            if (output.format === 'jsonl') await output.line(JSON.stringify(line))
            else {
              const at = new Date(line.atMs).toISOString().slice(11, 23)
              const head = `${at} ${shortId(line.job)} ${shortId(line.datum)}`
              const mark = line.stream === 'stdout' ? ' ' : line.stream === 'stderr' ? '!' : '·'
              await output.line(`${muted(head, output.color)} ${mark} ${clean(line.text)}`)
            }
          }
        },
      ),
    )
}
