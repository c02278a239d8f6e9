// `varve doctor`: what is between this terminal and a server; with `--server` alone, what is between a
// server of a cluster and what it stands on, by the options of `varve serve`.

import { styleText } from 'node:util'
import type { Command } from 'commander'
import { Option } from 'commander'
import type { Check } from '../base/check.ts'
import { ERRORS, toVarveError } from '../base/errors.ts'
import { discover } from '../cli/discover.ts'
import { CommandFailed } from '../cli/failure.ts'
import type { Output } from '../cli/output.ts'
import type { CliWorld, GlobalOptions } from '../cli/session.ts'
import { Session } from '../cli/session.ts'
import { helpOf } from '../config/help.ts'
import { serveOptions } from './serve.ts'
import { VERSION } from './version.ts'

/** Stands for a bare `--server`, which elsewhere takes an address. */
const OF_SERVER = '--of-a-server'

/** `doctor --server` without an address means the server's side. */
export function doctorArgs(args: readonly string[]): string[] {
  if (!args.includes('doctor')) return [...args]
  return args.map((arg, i) => {
    const next = args[i + 1]
    const bare = arg === '--server' && (next === undefined || next.startsWith('-'))
    return bare ? OF_SERVER : arg
  })
}

export function addDoctor(program: Command, world: CliWorld): void {
  const command = program
    .command('doctor')
    .description('what works and what does not, with what to do: from here to the server')
    .addOption(new Option(OF_SERVER).hideHelp())
  for (const { head, text, hasFlag } of helpOf('serve'))
    if (hasFlag) command.addOption(new Option(head, text).hideHelp())
  command.addHelpText(
    'after',
    '\nvarve doctor --server examines what a server of a cluster needs (Kafka, Cassandra, the store, the\n' +
      'registry), with the flags and variables of varve serve.\n',
  )
  command.action(async function (this: Command) {
    const { ofAServer, ...rest } = this.optsWithGlobals<{ ofAServer?: boolean } & GlobalOptions>()
    const { output } = new Session(world, rest)
    const checks = ofAServer ? serverSide(this) : clientSide(rest, world)
    if (await reportChecks(checks, output))
      throw new CommandFailed('something failed: see above', ERRORS.UNAVAILABLE.exit)
  })
}

async function* serverSide(command: Command): AsyncGenerator<Check> {
  const options = serveOptions(command)
  const { examine } = await import('./examine.ts')
  yield* examine(options)
}

/** @returns whether one failed */
export async function reportChecks(checks: AsyncIterable<Check>, output: Output): Promise<boolean> {
  let anyFailed = false
  const all: Check[] = []
  for await (const check of checks) {
    anyFailed ||= check.state === 'failed'
    if (output.isText) await output.write(checkText(check, output.color))
    else if (output.format === 'name') await output.line(`${check.state} ${check.what}`)
    else if (output.format === 'jsonl') await output.value(check)
    else all.push(check)
  }
  if (output.format === 'json' || output.format === 'yaml') await output.value(all)
  return anyFailed
}

const SHOWN = {
  ok: ['✓ ok', 'green'],
  warning: ['! warning', 'yellow'],
  failed: ['✗ failed', 'red'],
} as const
const STATE_WIDTH = 11
const WHAT_WIDTH = 40
const LINE_WIDTH = 100

/** What and what was found in one line where they fit, what to do below; no line over 100 columns. */
export function checkText({ what, state, found, remedy }: Check, color: boolean): string {
  const [word, colour] = SHOWN[state]
  const padded = word.padEnd(STATE_WIDTH)
  const lead = color ? styleText(colour, padded, { validateStream: false }) : padded
  const whole = `${what.padEnd(WHAT_WIDTH)}  ${found}`
  const fits = STATE_WIDTH + whole.length <= LINE_WIDTH
  const lines = fits ? [whole] : [what, ...wrapped(found)]
  if (remedy !== undefined) lines.push(...wrapped(`try: ${remedy}`))
  return `${lead}${lines.join(`\n${' '.repeat(STATE_WIDTH)}`)}\n`
}

/** A command of a shell that takes the rest of the text: its lines can be copied as they stand. */
const COMMAND = /: (?:[a-z-]+\.sh|aws) /

function wrapped(text: string): string[] {
  const width = LINE_WIDTH - STATE_WIDTH - ' \\'.length
  const command = COMMAND.exec(text)?.index ?? Number.POSITIVE_INFINITY
  const lines: string[] = []
  let [line, endedAt] = ['', 0]
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(endedAt > command + 1 ? `${line} \\` : line)
      line = `  ${word}`
    } else line = line === '' ? word : `${line} ${word}`
    endedAt += word.length + 1
  }
  return [...lines, line]
}

const PATIENCE_MS = 10_000
/** Ids carry times: the server refuses those over a minute ahead of its own clock. */
const CLOCK_WARNING_MS = 5_000
const CLOCK_LIMIT_MS = 60_000

/** From here to the server; ends early where nothing further can succeed. */
export async function* clientSide(
  given: Pick<GlobalOptions, 'server' | 'token'>,
  world: CliWorld,
): AsyncGenerator<Check> {
  const { server, token } = given
  const { env, cwd, nowMs } = world
  const get = (url: string, init: RequestInit = {}): Promise<Response> =>
    (world.fetch ?? fetch)(url, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) })
  let at
  try {
    at = await discover({ server, token, env, cwd })
  } catch (error) {
    const { message, spec } = toVarveError(error)
    return yield {
      what: 'address of the server',
      state: 'failed',
      found: message,
      remedy: spec.remedy,
    }
  }
  yield { what: 'address of the server', state: 'ok', found: at.url }
  let answer: Response
  const sentMs = nowMs()
  try {
    answer = await get(`${at.url}/api/v1/version`)
  } catch (error) {
    const { message, cause } = error as Error
    return yield {
      what: 'server',
      state: 'failed',
      found: `no answer: ${cause instanceof Error ? cause.message : message}`,
      remedy: 'look whether it runs, and whether this machine reaches it (firewall, proxy, name)',
    }
  }
  const { version } = (await answer.json().catch(() => ({}))) as { version?: string }
  if (!answer.ok || version === undefined)
    return yield {
      what: 'server',
      state: 'failed',
      found: `it answers ${answer.status}, and not as a Varve server`,
      remedy: 'check the address: something else listens there',
    }
  yield sameVersion(version)
  yield clock(answer.headers.get('date'), (sentMs + nowMs()) / 2)
  yield await ready(get, at.url)
  yield await accepted(get, at.url, at.token)
}

function sameVersion(version: string): Check {
  const what = 'version of the server'
  if (version === VERSION) return { what, state: 'ok', found: `${version}, as this program` }
  const found = `${version}, this program is ${VERSION}`
  return { what, state: 'warning', found, remedy: 'use the program of the release the server has' }
}

/** A Date header has whole seconds: half of one is added on average. */
function clock(date: string | null, atMs: number): Check {
  const what = 'clock'
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs)) return { what, state: 'ok', found: 'the server tells no time' }
  const aheadMs = atMs - theirs - 500
  const seconds = (Math.abs(aheadMs) / 1_000).toFixed(1)
  const found = `${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the server's`
  if (Math.abs(aheadMs) < CLOCK_WARNING_MS) return { what, state: 'ok', found }
  const state = aheadMs > CLOCK_LIMIT_MS ? 'failed' : 'warning'
  return { what, state, found, remedy: 'let both machines set their clocks by NTP' }
}

type Get = (url: string, init?: RequestInit) => Promise<Response>

async function ready(get: Get, url: string): Promise<Check> {
  const what = 'readiness of the server'
  const answer = await get(`${url}/readyz`).catch(() => undefined)
  if (answer?.ok) return { what, state: 'ok', found: 'it has what it needs' }
  const problem = (await answer?.json().catch(() => undefined)) as { detail?: string } | undefined
  return {
    what,
    state: 'failed',
    found: problem?.detail ?? `it answers ${answer?.status ?? 'nothing'}`,
    remedy: 'run varve doctor --server where the server runs, with its variables',
  }
}

async function accepted(get: Get, url: string, token: string | undefined): Promise<Check> {
  const what = 'token'
  const remedy = "give the server's token by VARVE_TOKEN or --token"
  if (token === undefined)
    return { what, state: 'failed', found: 'none is known for this server', remedy }
  const headers = { authorization: `Bearer ${token}` }
  const answer = await get(`${url}/api/v1/projects?limit=1`, { headers }).catch(() => undefined)
  if (answer?.ok) return { what, state: 'ok', found: 'accepted' }
  const found =
    answer?.status === 401 || answer?.status === 403
      ? 'refused'
      : `it could not be tried: the server answers ${answer?.status ?? 'nothing'}`
  return { what, state: 'failed', found, remedy }
}
