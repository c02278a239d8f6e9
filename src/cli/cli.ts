// The command line: options every command has, the groups, and how a run ends.

import { Command, CommanderError, Option } from 'commander'
import type { Act } from './act.ts'
import { addApply } from './commands/apply.ts'
import { addBranch } from './commands/branch.ts'
import { addCommit } from './commands/commit.ts'
import { addDatum } from './commands/datum.ts'
import { addDu } from './commands/du.ts'
import { addEgress } from './commands/egress.ts'
import { addEvents } from './commands/events.ts'
import { addExplain } from './commands/explain.ts'
import { addFile } from './commands/file.ts'
import { addJob } from './commands/job.ts'
import { addLogs } from './commands/logs.ts'
import { addMeta } from './commands/meta.ts'
import { addPipeline } from './commands/pipeline.ts'
import { addPool } from './commands/pool.ts'
import { addProject } from './commands/project.ts'
import { addGc } from './commands/gc.ts'
import { addPurge } from './commands/purge.ts'
import { addRebuild } from './commands/rebuild.ts'
import { addRepo } from './commands/repo.ts'
import { addSpout } from './commands/spout.ts'
import { addUpload } from './commands/upload.ts'
import { addVerify } from './commands/verify.ts'
import { addWorkerToken } from './commands/worker-token.ts'
import { EXIT, reportFailure } from './failure.ts'
import type { Format } from './output.ts'
import { FORMATS, ReaderGone } from './output.ts'
import type { CliWorld, GlobalOptions } from './session.ts'
import { Session } from './session.ts'

export interface CliOptions extends CliWorld {
  readonly version: string
  /** Commands only the whole product has, such as `dev`. */
  readonly extraCommands?: readonly ((program: Command) => void)[]
}

export function buildCli(options: CliOptions): Command {
  const program = new Command('varve')
    .description('Version control and provenance-driven pipelines for data streams')
    .version(options.version, '--version', 'print the version of this program')
    .option('-p, --project <name>', 'project (VARVE_PROJECT, else "default")')
    .option('--server <url>', 'address of the server (VARVE_SERVER, else the nearest .varve)')
    .option('--token <token>', 'token of the server (VARVE_TOKEN)')
    .addOption(new Option('-o, --output <format>', 'format of what is read').choices(FORMATS))
    .addOption(
      new Option('--color <when>', 'colour the states').choices(['auto', 'always', 'never']),
    )
    .showHelpAfterError('try: varve --help')
    .configureOutput({
      writeOut: (text) => options.stdout.write(text),
      writeErr: (text) => options.stderr.write(text),
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride()
  const act: Act = (action) =>
    async function (this: Command, ...args) {
      await action(new Session(options, this.optsWithGlobals<GlobalOptions>()), ...args)
    }
  const add = [
    addProject,
    addRepo,
    addBranch,
    addCommit,
    addFile,
    addUpload,
    addDu,
    addPipeline,
    addPool,
    addJob,
    addDatum,
    addLogs,
    addSpout,
    addEgress,
    addApply,
    addExplain,
    addEvents,
    addRebuild,
    addGc,
    addPurge,
    addVerify,
    addWorkerToken,
    addMeta,
  ]
  for (const one of add) one(program, act)
  for (const extra of options.extraCommands ?? []) extra(program)
  for (const command of program.commands) inherit(command, program)
  return program
}

/** Subcommands refuse and print as the program does. */
function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent)
  for (const child of command.commands) inherit(child, command)
}

/** @returns the exit code; never throws */
export async function runCli(args: readonly string[], options: CliOptions): Promise<number> {
  options.stdout.once('error', () => undefined)
  try {
    await buildCli(options).parseAsync(args, { from: 'user' })
    return options.signal.aborted ? EXIT.interrupted : EXIT.ok
  } catch (error) {
    if (options.signal.aborted) return EXIT.interrupted
    if (error instanceof ReaderGone) return EXIT.ok
    // Help and version are no failures; usage errors have been said by commander.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return reportFailure(error, options.stderr, wantedFormat(args))
  }
}

/** The format asked for, whether or not the rest of the line made sense. */
function wantedFormat(args: readonly string[]): Format {
  for (const [i, arg] of args.entries()) {
    const value = /^(?:-o=?|--output=)(.+)$/.exec(arg)?.[1]
    const found = value ?? (arg === '-o' || arg === '--output' ? args[i + 1] : undefined)
    if (found) return FORMATS.find((one) => one === found) ?? 'text'
  }
  return 'text'
}
