import type { Command } from 'commander'
import { VarveError } from '../../base/errors.ts'
import type { Act } from '../act.ts'

export function addRebuild(program: Command, act: Act): void {
  program
    .command('rebuild [project]')
    .description("make a project's rows again from its log, while everything goes on")
    .option('--check', 'only compare them with the rows in use')
    .action(
      act(async (session, name: string | undefined, options: { check?: boolean }) => {
        const project = name ?? session.project
        const client = await session.client()
        const { output } = session
        const check = options.check ?? false
        const steps = client.lines('POST /projects/:project/rebuild', {
          params: { project },
          query: { check },
          signal: session.signal,
        })
        let last: { view: number; rows: number; differing: number; examples: readonly string[] }
        last = { view: 0, rows: 0, differing: 0, examples: [] }
        for await (const step of steps) {
          last = step
          if (!output.isText) await output.line(JSON.stringify(step))
          else if (step.phase === 'filling')
            output.note(`view ${step.view}: ${step.seq} of ${step.through} entries`)
          else if (step.phase === 'comparing') output.note(`compared ${step.rows} rows`)
        }
        if (!check) return output.note(`project ${project} reads view ${last.view} now`)
        for (const example of last.examples) output.note(example)
        if (last.differing > 0)
          throw new VarveError(
            'CORRUPT',
            `cannot trust the rows of project "${project}": ${last.differing} of ${last.rows} differ from its log`,
          )
        output.note(`project ${project}: all ${last.rows} rows are what its log says`)
      }),
    )
}
