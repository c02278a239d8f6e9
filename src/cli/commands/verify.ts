import type { Command } from 'commander'
import type { FindingView } from '../../api/verify.ts'
import type { Act } from '../act.ts'
import { CommandFailed } from '../failure.ts'
import type { Output } from '../output.ts'
import { clean } from '../table.ts'
import { bytesText, countText, many } from '../words.ts'

interface Options {
  readonly repo?: string
  readonly percent: number
  readonly seed?: number
  readonly bytesPerSecond?: number
}

type Done = Extract<FindingView, { kind: 'done' }>

export function addVerify(program: Command, act: Act): void {
  program
    .command('verify')
    .description('read what is stored: what is damaged or missing, and which commits it hurts')
    .option('--repo <name>', 'only what the commits of this repo need; default: the whole store')
    .option(
      '--percent <n>',
      'read so many of the packs; that all are there is always seen',
      Number,
      100,
    )
    .option('--seed <n>', 'which of them: n, n + 1, n + 2 … reach all; default: by chance', Number)
    .option('--bytes-per-second <n>', 'read no faster', Number)
    .action(
      act(async (session, { repo, ...query }: Options) => {
        const { output } = session
        const of = repo === undefined ? undefined : session.name(repo)
        const client = await session.client()
        const lines = client.lines('GET /verify', {
          query: { ...query, ...(of && { project: of.project, repo: of.name }) },
          signal: session.signal,
        })
        const failure = await printFindings(lines, output)
        if (failure !== undefined) throw new CommandFailed(failure)
      }),
    )
}

/** @returns what was found to be wrong, in words */
export async function printFindings(
  lines: AsyncIterable<FindingView>,
  output: Output,
): Promise<string | undefined> {
  const all: FindingView[] = []
  let done: Done | undefined
  for await (const line of lines) {
    if (line.kind === 'done') done = line
    if (output.isText) await printText(line, output)
    else if (line.kind === 'progress') continue
    else if (output.format === 'jsonl') await output.value(line)
    else if (output.format === 'name') {
      if (line.kind === 'pack') await output.line(clean(line.key))
    } else all.push(line)
  }
  if (output.format === 'json' || output.format === 'yaml') await output.value(all)
  if (!done) return 'it ended before everything was read: run it again'
  const { damaged, missing, hurt } = done
  if (damaged + missing + hurt === 0) return undefined
  return `${many(damaged, 'pack')} damaged, ${countText(missing)} missing; ${many(hurt, 'path')} hurt`
}

async function printText(line: FindingView, output: Output): Promise<void> {
  if (line.kind === 'progress') {
    if (line.doing === 'packs')
      output.note(`read ${many(line.packs, 'pack')}, ${bytesText(line.bytes)}`)
    else output.note(`followed ${many(line.roots, 'tree')}`)
  } else if (line.kind === 'pack') {
    await output.line(`${line.state} ${clean(line.key)}`)
    for (const { why, offset, holds, ids } of line.faults) {
      const where = offset === undefined ? '' : ` at ${offset}${holds ? `, ${holds}` : ''}`
      const what = ids && ids.length > 0 ? ` ${ids.join(' ')}` : ''
      await output.line(clean(`  ${why}${where}${what}`))
    }
    if (line.moreFaults > 0) await output.line(`  and ${countText(line.moreFaults)} more`)
    await output.line(`  try: put ${clean(line.key)} back from a copy of the store`)
  } else if (line.kind === 'hurt') {
    const path = line.path === '' ? '' : `:/${line.path}`
    const by = line.key === '' ? '' : ` (${line.key})`
    await output.line(clean(`hurt ${line.root}${path}  ${line.why}${by}`))
  } else {
    const { packs, packsAll, bytes, roots, unneeded, seed } = line
    const part = packs < packsAll ? `, seed ${seed}` : ''
    const spare = unneeded > 0 ? `; nothing needs ${many(unneeded, 'pack')}` : ''
    await output.line(
      `read ${countText(packs)} of ${many(packsAll, 'pack')}, ${bytesText(bytes)}, ${many(roots, 'tree')}${part}${spare}`,
    )
  }
}
