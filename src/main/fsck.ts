// `varve fsck`: see check-folder.ts.

import type { Command } from 'commander'
import { ERRORS } from '../base/errors.ts'
import { CommandFailed } from '../cli/failure.ts'
import type { CliWorld, GlobalOptions } from '../cli/session.ts'
import { Session } from '../cli/session.ts'
import { helpOf } from '../config/help.ts'
import { parseOptions } from '../config/parse.ts'
import { reportChecks } from './doctor.ts'

export function addFsck(program: Command, world: CliWorld): void {
  const command = program
    .command('fsck')
    .description('examine the data folder of an embedded server that is stopped; changes nothing')
  const data = helpOf('dev').find(({ head }) => head.startsWith('--data '))
  if (data) command.option(data.head, data.text)
  command.action(async function (this: Command, { data: folder }: { data?: string }) {
    const { output } = new Session(world, this.optsWithGlobals<GlobalOptions>())
    const options = parseOptions('dev', world.env, folder === undefined ? {} : { data: folder })
    // Loaded here: `varve --help` need not pay for a server's rooms.
    const { checkFolder } = await import('./check-folder.ts')
    if (await reportChecks(checkFolder(options.data, world.signal), output))
      throw new CommandFailed('something is damaged: see above', ERRORS.CORRUPT.exit)
  })
}
