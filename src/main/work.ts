// `varve work`: workers in a process of their own. They speak to the API and to nothing else; what they
// are given is an address and a token that opens the routes of workers.

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { systemClock as clock } from '../base/clock.ts'
import { isVarveError, VarveError } from '../base/errors.ts'
import { systemRandom as random } from '../base/random.ts'
import { helpOf } from '../config/help.ts'
import { parseOptions } from '../config/parse.ts'
import type { Runner } from '../exec/runner.ts'
import type { Scratch } from '../exec/scratch.ts'
import type { Interruption } from './interruption.ts'

interface WorkFlags {
  readonly server?: string
  readonly token?: string
  readonly pool: string
  readonly scratch?: string
  readonly inPod?: boolean
  readonly workers?: string
  readonly inputCacheBytes?: string
  readonly logLevel?: string
}

export interface WorkOptions {
  readonly server: string
  readonly token: string
  /** Where the token can be read again: tokens are renewed in place. */
  readonly tokenFile?: string | undefined
  readonly pool: string
  /** Code runs in the container beside this one; then there is one worker, and no scratch folder. */
  readonly inPod?: boolean
  /** What a worker in a pod keeps of inputs; default: nothing. */
  readonly inputCacheBytes?: number
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
    .option('--in-pod', 'run code in the container beside this one, in a pod that Varve made')
  for (const { head, text, hasFlag } of helpOf('work')) if (hasFlag) command.option(head, text)
  command.action(async function (this: Command) {
    const flags = this.optsWithGlobals<WorkFlags>()
    interruption.serves()
    const { workers, inputCacheBytes, logLevel, workerToken } = parseOptions('work', process.env, {
      workers: flags.workers,
      inputCacheBytes: flags.inputCacheBytes,
      logLevel: flags.logLevel,
    })
    const { startLogging } = await import('../observe/logging.ts')
    const logging = startLogging({ level: logLevel })
    try {
      await work(
        {
          server: given(flags.server ?? process.env['VARVE_SERVER'], '--server', 'VARVE_SERVER'),
          token: given(flags.token ?? workerToken, '--token', 'VARVE_WORKER_TOKEN'),
          tokenFile: flags.token ? undefined : process.env['VARVE_WORKER_TOKEN_FILE'],
          pool: flags.pool,
          inPod: flags.inPod === true,
          inputCacheBytes,
          scratch: flags.scratch,
          workers: workers ?? (flags.inPod === true ? 1 : availableParallelism()),
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

/** Kubernetes lays a new token where the old one was some time after it is made. */
const NEW_TOKEN_MS = 5_000

/**
 * Works until the signal is aborted; then gives back what is in hand.
 * @throws VarveError UNAUTHENTICATED, FORBIDDEN when the server does not let these workers in
 */
export async function work(options: WorkOptions, signal: AbortSignal): Promise<void> {
  check(options)
  await using opened = new AsyncDisposableStack()
  const place = await openPlace(options, opened, signal)
  if (!place) return
  let { token } = options
  for (;;)
    try {
      return await workWith({ ...options, token }, place, signal)
    } catch (error) {
      if (!isVarveError(error, 'UNAUTHENTICATED') || options.tokenFile === undefined) throw error
      await clock.sleep(NEW_TOKEN_MS, signal)
      const renewed = (await readFile(options.tokenFile, 'utf8')).trim()
      if (signal.aborted || renewed === token) throw error
      token = renewed
    }
}

function check(options: WorkOptions): void {
  const refuse = (why: string): never => {
    throw new VarveError('INVALID_OPTION', why)
  }
  if (!URL.canParse(options.server))
    refuse(`cannot use "${options.server}" as the address of a server`)
  if (options.workers < 1) refuse('cannot work with 0 workers')
  if (options.inPod === true && options.workers !== 1)
    refuse(`cannot work with ${options.workers} workers in a pod: it has one container for code`)
}

interface Place {
  readonly runner: Runner
  readonly scratch: Scratch
}

/** Where code runs and finds its files. Undefined: the signal was aborted before it was there. */
async function openPlace(
  options: WorkOptions,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Place | undefined> {
  if (options.inPod === true) {
    const { IN_AGENT } = await import('../exec/adapters/kubernetes/pod.ts')
    const { PodRunner } = await import('../exec/adapters/kubernetes/pod-runner.ts')
    const { PodScratch } = await import('../exec/adapters/kubernetes/pod-scratch.ts')
    // Nothing is claimed before the container beside this one runs.
    const runner = await PodRunner.open(IN_AGENT, signal).catch((error: unknown) => {
      if (signal.aborted) return undefined
      throw error
    })
    if (!runner) return undefined
    opened.defer(() => runner.close())
    const budgetBytes = options.inputCacheBytes ?? 0
    const keeping = { folder: IN_AGENT.cache, budgetBytes, clock }
    return { runner, scratch: new PodScratch(IN_AGENT, keeping) }
  }
  const { ProcessRunner } = await import('../exec/adapters/process/runner.ts')
  const { DiskScratch } = await import('../exec/adapters/process/scratch.ts')
  const path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'
  const runner = await ProcessRunner.open({ codeRoot: process.cwd(), path })
  opened.defer(() => runner.close())
  const parent = resolve(options.scratch ?? tmpdir())
  await mkdir(parent, { recursive: true })
  const root = await mkdtemp(join(parent, 'varve-work-'))
  opened.defer(() => rm(root, { recursive: true, force: true }))
  return { runner, scratch: new DiskScratch({ root }) }
}

async function workWith(options: WorkOptions, place: Place, signal: AbortSignal): Promise<void> {
  // Loaded here: other commands need none of it.
  const { HttpWorkerApi } = await import('../client/worker-api.ts')
  const { openHash, zstdCompute } = await import('./compute.ts')
  const { idSource } = await import('../model/id.ts')
  const { workerName } = await import('../model/worker-name.ts')
  const { trouble: tell } = await import('../pipelines/trouble.ts')
  const { Agent } = await import('../worker/agent.ts')

  const refused = new AbortController()
  const stopping = AbortSignal.any([signal, refused.signal])
  const complain = seldom((error) => tell('working', error))
  const direct = {
    hash: await openHash(),
    decompress: (bytes: Uint8Array, sizeBytes: number) => zstdCompute.decompress(bytes, sizeBytes),
    trouble: seldom((error) => tell('fetching input from the store; the API sends it', error)),
  }
  // A pod reaches the API and nothing else: addresses of the store would lead nowhere.
  const reaching = options.inPod === true ? {} : { direct }
  const api = new HttpWorkerApi({ ...options, ...reaching, clock, random, stopping })

  let refusal: VarveError | undefined
  const trouble = (error: unknown): void => {
    if (!isVarveError(error, 'UNAUTHENTICATED') && !isVarveError(error, 'FORBIDDEN'))
      return complain(error)
    // Asking again will not help.
    refusal ??= error
    refused.abort()
  }
  const server = options.server.replace(/\/$/, '')
  // Never the name of a process before: beats and leases of that one are not ours.
  const incarnation = idSource(clock, random)()
  const agents = Array.from({ length: options.workers }, (_, index) => {
    const worker = workerName(hostname(), incarnation, index)
    return new Agent({ api, ...place, clock, worker, trouble, server }).run(stopping)
  })
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
