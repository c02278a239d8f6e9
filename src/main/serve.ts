// `varve serve`: one process of a cluster in the foreground.

import type { Command } from 'commander'
import { CommandFailed } from '../cli/failure.ts'
import { aborted } from '../base/async.ts'
import { VarveError } from '../base/errors.ts'
import { helpOf } from '../config/help.ts'
import { parseOptions } from '../config/parse.ts'
import type { ServeOptions, StartFailed as Failed } from './dependencies.ts'
import type { Interruption } from './interruption.ts'

type Flags = Readonly<Record<string, string | boolean | undefined>>

/** Flags every command has that mean something else, or nothing, here. */
const CLIENT_FLAGS = ['server', 'project', 'output', 'color', 'ofAServer']

export function addServe(program: Command, interruption: Interruption): void {
  const command = program
    .command('serve')
    .description('run one process of a cluster, on Kafka, Cassandra and an S3-compatible store')
  const help = helpOf('serve')
  for (const { head, text, hasFlag } of help) if (hasFlag) command.option(head, text)
  const secrets = help.filter(({ hasFlag }) => !hasFlag)
  const lines = secrets.map(({ head, text }) => `  ${head}\n      ${text}`)
  command.addHelpText('after', `\nSecrets, by variable or file:\n${lines.join('\n')}`)
  command.action(async function (this: Command) {
    interruption.serves()
    await serve(serveOptions(this), interruption.signal)
    interruption.endedWell()
  })
}

/** @throws VarveError INVALID_OPTION */
export function serveOptions(command: Command): ServeOptions {
  const { token, ...flags } = command.optsWithGlobals<Flags>()
  if (token !== undefined)
    throw new VarveError(
      'INVALID_OPTION',
      'cannot take the token as a flag, which everybody on the machine can read: set VARVE_TOKEN or VARVE_TOKEN_FILE',
    )
  const own = Object.entries(flags).filter(([name]) => !CLIENT_FLAGS.includes(name))
  return parseOptions('serve', process.env, Object.fromEntries(own))
}

async function serve(options: ServeOptions, signal: AbortSignal): Promise<void> {
  // Loaded here: `varve --help` need not pay for a server.
  const { openCluster } = await import('./cluster.ts')
  const { StartFailed } = await import('./dependencies.ts')
  const { startLogging } = await import('../observe/logging.ts')
  const logging = startLogging({ level: options.logLevel })
  const say = (line: string): void => void process.stderr.write(`${line}\n`)
  try {
    say(`starting ${options.roles.join(', ')}`)
    const cluster = await openCluster(options, { say, signal }).catch(async (error: unknown) => {
      if (signal.aborted) return undefined
      throw error instanceof StartFailed ? await examined(error, options, say) : error
    })
    if (!cluster) return say('stopped before it had started')
    process.stdout.write(greeting(options, cluster))
    await Promise.race([aborted(signal), cluster.failed]).catch(async (error: unknown) => {
      logging.logger.error({ error }, 'a part of this process cannot go on')
      await cluster.close().catch(() => undefined)
      throw error
    })
    say('stopping: no new work; what is under way has 20 s')
    await cluster.drain()
  } finally {
    logging.close()
  }
}

/** Says what is wrong with the dependencies that stood in the way, instead of a stack. */
async function examined(
  error: Failed,
  options: ServeOptions,
  say: (line: string) => void,
): Promise<CommandFailed> {
  const { examine } = await import('./examine.ts')
  const { checkText } = await import('./doctor.ts')
  say('what is in the way:')
  let said = false
  for await (const check of examine(options, error.because)) {
    if (check.state !== 'failed') continue
    say(checkText(check, false).trimEnd())
    said = true
  }
  // It may have passed meanwhile; then the message is all there is.
  const why = said ? 'cannot start: see above' : error.message
  return new CommandFailed(`error: ${why} (${error.code})`, error.spec.exit)
}

function greeting(
  options: ServeOptions,
  { url, roles, workspace }: { url: string; roles: readonly string[]; workspace: string },
): string {
  const { kafka, topicPrefix, cassandra, cassandraKeyspace, s3Endpoint, s3Bucket, s3Prefix } =
    options
  const store = `${s3Endpoint ?? 'https://s3.amazonaws.com'}/${s3Bucket}${s3Prefix ? `/${s3Prefix}` : ''}`
  const rows: [string, string][] = [
    ['roles', roles.join(', ')],
    [roles.includes('api') ? 'API' : 'health', url],
    ['kafka', `${kafka.join(', ')}, topics ${topicPrefix}.*`],
    ['cassandra', `${cassandra.join(', ')}, keyspace ${cassandraKeyspace}`],
    ['store', store],
    ['workspace', workspace],
  ]
  return `\n${rows.map(([name, value]) => `  ${name.padEnd(11)}${value}`).join('\n')}\n\n`
}
