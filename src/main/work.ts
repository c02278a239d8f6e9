// `varve work`: workers in a process of their own. They speak to the API and to nothing else; what they
// are given is an address and a token that opens the routes of workers.

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { systemClock as clock } from '../base/clock.ts'
import { isVarveError, VarveError } from '../base/errors.ts'
import { systemRandom as random } from '../base/random.ts'
import { helpOf } from '../config/help.ts'
import { parseOptions } from '../config/parse.ts'
import type { Interruption } from './interruption.ts'

interface WorkFlags {
  readonly server?: string
  readonly token?: string
  readonly pool: string
  readonly scratch?: string
  readonly workers?: string
  readonly logLevel?: string
}

export interface WorkOptions {
  readonly server: string
  readonly token: string
  readonly pool: string
  /** Where scratch folders are made; default: the system's temporary folder. */
  readonly scratch: string | undefined
  /** Datums worked on at once. */
  readonly workers: number
}

export function addWork(program: Command, interruption: Interruption): void {
  const command = program
    .command('work')
    .description(
      'run workers here, for the server at --server, with a token of "varve worker-token"',
    )
    .option('--pool <name>', 'pool the token is for', 'default')
    .option('--scratch <folder>', 'where inputs are laid out (default: the temporary folder)')
  for (const { head, text, hasFlag } of helpOf('work')) if (hasFlag) command.option(head, text)
  command.action(async function (this: Command) {
    const flags = this.optsWithGlobals<WorkFlags>()
    interruption.serves()
    const { workers, logLevel, workerToken } = parseOptions('work', process.env, {
      workers: flags.workers,
      logLevel: flags.logLevel,
    })
    const { startLogging } = await import('../observe/logging.ts')
    const logging = startLogging({ level: logLevel })
    try {
      await work(
        {
          server: given(flags.server ?? process.env['VARVE_SERVER'], '--server', 'VARVE_SERVER'),
          token: given(flags.token ?? workerToken, '--token', 'VARVE_WORKER_TOKEN'),
          pool: flags.pool,
          scratch: flags.scratch,
          workers: workers ?? availableParallelism(),
        },
        interruption.signal,
      )
      interruption.endedWell()
    } finally {
      logging.close()
    }
  })
}

function given(value: string | undefined, flag: string, variable: string): string {
  if (value) return value
  throw new VarveError('INVALID_OPTION', `cannot work without ${flag} (or ${variable})`)
}

/**
 * Works until the signal is aborted; then gives back what is in hand.
 * @throws VarveError UNAUTHENTICATED, FORBIDDEN when the server does not let these workers in
 */
export async function work(options: WorkOptions, signal: AbortSignal): Promise<void> {
  if (!URL.canParse(options.server))
    throw new VarveError(
      'INVALID_OPTION',
      `cannot use "${options.server}" as the address of a server`,
    )
  if (options.workers < 1) throw new VarveError('INVALID_OPTION', 'cannot work with 0 workers')
  // Loaded here: other commands need none of it.
  const { HttpWorkerApi } = await import('../client/worker-api.ts')
  const { openHash, zstdCompute } = await import('./compute.ts')
  const { ProcessRunner } = await import('../exec/adapters/process/runner.ts')
  const { DiskScratch } = await import('../exec/adapters/process/scratch.ts')
  const { idSource } = await import('../model/id.ts')
  const { trouble: tell } = await import('../pipelines/trouble.ts')
  const { Agent } = await import('../worker/agent.ts')

  await using opened = new AsyncDisposableStack()
  const refused = new AbortController()
  const stopping = AbortSignal.any([signal, refused.signal])
  const complain = seldom((error) => tell('working', error))
  const direct = {
    hash: await openHash(),
    decompress: (bytes: Uint8Array, sizeBytes: number) => zstdCompute.decompress(bytes, sizeBytes),
    trouble: seldom((error) => tell('fetching input from the store; the API sends it', error)),
  }
  const api = new HttpWorkerApi({ ...options, clock, random, stopping, direct })
  const path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'
  const runner = await ProcessRunner.open({ codeRoot: process.cwd(), path })
  opened.defer(() => runner.close())
  const parent = resolve(options.scratch ?? tmpdir())
  await mkdir(parent, { recursive: true })
  const root = await mkdtemp(join(parent, 'varve-work-'))
  opened.defer(() => rm(root, { recursive: true, force: true }))
  const scratch = new DiskScratch({ root })

  let refusal: VarveError | undefined
  const trouble = (error: unknown): void => {
    if (!isVarveError(error, 'UNAUTHENTICATED') && !isVarveError(error, 'FORBIDDEN'))
      return complain(error)
    // Asking again will not help.
    refusal ??= error
    refused.abort()
  }
  // Never the name of a process before: beats and leases of that one are not ours.
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9.-]/g, '-')
    .slice(0, 60)
  const incarnation = idSource(clock, random)()
  const agents = Array.from({ length: options.workers }, (_, index) =>
    new Agent({
      api,
      runner,
      scratch,
      clock,
      worker: `${host}-${incarnation}-${index}`,
      trouble,
    }).run(stopping),
  )
  process.stderr.write(
    `${options.workers} workers of the pool "${options.pool}" for ${options.server}\n`,
  )
  const ended = await Promise.allSettled(agents)
  if (refusal) throw refusal
  for (const each of ended) if (each.status === 'rejected') throw each.reason
}

const AGAIN_MS = 30_000

/** The same is said again after a while only: a server that is away would fill the log. */
function seldom(say: (error: unknown) => void): (error: unknown) => void {
  const said = new Map<string, number>()
  return (error) => {
    const text = error instanceof Error ? error.message : String(error)
    const nowMs = clock.monotonicMs()
    for (const [old, atMs] of said) if (nowMs - atMs >= AGAIN_MS) said.delete(old)
    if (said.has(text)) return
    said.set(text, nowMs)
    say(error)
  }
}
