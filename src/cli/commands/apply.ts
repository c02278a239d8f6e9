import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { VarveError } from '../../base/errors.ts'
import { fromUtf8, concat } from '../../base/bytes.ts'
import type { Act } from '../act.ts'
import type { Session } from '../session.ts'
import { boundText, many } from '../words.ts'

const SPEC_FILE = /\.(?:ya?ml|json)$/

/** A file; every spec of a folder, by name; or standard input. */
async function readSpecs(session: Session, file: string): Promise<string[]> {
  if (file === '-') return [fromUtf8(concat(await Array.fromAsync(session.world.stdin)))]
  const path = resolve(session.world.cwd, file)
  try {
    if (!(await stat(path)).isDirectory()) return [await readFile(path, 'utf8')]
    const names = (await readdir(path)).filter((name) => SPEC_FILE.test(name)).toSorted()
    if (names.length > 0)
      return await Promise.all(names.map((name) => readFile(join(path, name), 'utf8')))
  } catch (error) {
    throw new VarveError('INVALID_OPTION', `cannot read "${file}": ${(error as Error).message}`)
  }
  throw new VarveError('INVALID_OPTION', `cannot apply "${file}": no .yaml, .yml or .json in it`)
}

export function addApply(program: Command, act: Act): void {
  program
    .command('apply')
    .description('put pipelines, spouts and egresses: JSON or YAML, kinds mixed')
    .requiredOption('-f, --file <file...>', 'file, directory, or "-" for standard input')
    .option('--dry-run', 'say what would change, change nothing')
    .action(
      act(async (session, options: { file: string[]; dryRun?: boolean }) => {
        const client = await session.client()
        const texts: string[] = []
        for (const file of options.file) texts.push(...(await readSpecs(session, file)))
        const items = []
        // One request when there is one text, so that lines and columns of a refusal are the author's.
        for (const body of texts) {
          const answer = await client.call('POST /projects/:project/apply', {
            params: { project: session.project },
            query: { dryRun: options.dryRun },
            body,
          })
          items.push(...answer.items)
        }
        if (!session.output.isText) return session.output.value({ items })
        const would = options.dryRun ? 'would ' : ''
        const done = options.dryRun
          ? { create: 'create', update: 'update', none: 'leave' }
          : { create: 'created', update: 'updated', none: 'unchanged:' }
        for (const { kind, name, action, plan, bound } of items) {
          const datums = plan ? `: ${many(plan.run, 'datum')} to run, ${plan.reuse} reused` : ''
          session.output.note(`${would}${done[action]} ${kind} ${name}${datums}`)
          if (bound && action !== 'none') session.output.note(`  ${boundText(bound)}`)
          for (const warning of plan?.warnings ?? []) session.output.note(`  warning: ${warning}`)
        }
      }),
    )
}
