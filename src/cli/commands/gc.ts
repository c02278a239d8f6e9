import type { Command } from 'commander'
import { Option } from 'commander'
import type { GcView } from '../../api/gc.ts'
import { VarveError } from '../../base/errors.ts'
import type { Act } from '../act.ts'
import type { Output } from '../output.ts'
import { bytesText, many } from '../words.ts'

interface Options {
  readonly plan?: boolean
  readonly waitMs?: number
}

export function addGc(program: Command, act: Act): void {
  program
    .command('gc')
    .description('delete what nothing names any more, while everything goes on')
    .option('--plan', 'only say what would go, and why')
    .addOption(
      new Option(
        '--wait-ms <n>',
        'time for writers to learn what is to go; default: 2 minutes',
      ).argParser(Number),
    )
    .action(
      act(async (session, options: Options) => {
        const { output } = session
        const client = await session.client()
        let last: GcView | undefined
        for await (const step of client.lines('POST /gc', {
          query: { ...options },
          signal: session.signal,
        })) {
          last = step
          if (output.isText) say(step, output)
          else await output.line(JSON.stringify(step))
        }
        if (last?.phase !== 'done')
          throw new VarveError('UNAVAILABLE', 'cannot tell how the collection ended: run it again')
        if (output.isText) sum(last, options.plan ?? false, output)
      }),
    )
}

function say({ phase, packs, packBytes, unused, unusedBytes }: GcView, output: Output): void {
  const found = `found nothing that is used in ${many(unused, 'pack')}, ${bytesText(unusedBytes)}`
  if (phase === 'marking')
    output.note(`looking for what is used in ${many(packs, 'pack')}, ${bytesText(packBytes)}`)
  else if (phase === 'waiting') output.note(`${found}; giving writers time to learn of it`)
  else if (phase === 'closing') output.note('nobody may build on them from here on')
  else if (phase === 'marking-again') output.note('looking again for what was used meanwhile')
  else if (phase === 'repacking')
    output.note('carrying over what is used of packs that are mostly not')
}

function sum(done: GcView, plan: boolean, output: Output): void {
  const { unused, unusedBytes, underHalf, underHalfBytes, leftovers } = done
  const { deleted, deletedBytes, repacked } = done
  if (plan) {
    output.note(
      `would delete ${many(unused, 'pack')}, ${bytesText(unusedBytes)}: no commit, upload or job names anything there`,
    )
    if (underHalf > 0)
      output.note(
        `would delete ${many(underHalf, 'pack')}, ${bytesText(underHalfBytes)}, after carrying over the less than half that is used there`,
      )
  } else {
    const carried =
      repacked > 0 ? `, ${repacked} of them after carrying over what is used there` : ''
    output.note(`deleted ${many(deleted, 'pack')}, ${bytesText(deletedBytes)}${carried}`)
  }
  if (leftovers > 0)
    output.note(
      `${plan ? 'would delete' : 'deleted'} ${many(leftovers, 'object')} of logs that no entry and no snapshot needs`,
    )
}
