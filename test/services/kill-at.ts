// A preload, `node --import …/kill-at.ts`: ends its own process between two steps of a worker, once. The
// product knows nothing of it: it wraps methods of modules that the process is about to use.
//
//   claimed      a chunk was given out, and the worker has not seen it
//   laid-out     a datum's input lies there, and its code was not started
//   run          its code has ended, and nobody has heard of it
//   uploaded     the chunk's output is durable, and nobody has said that it is done
//   done         its row says done, and the worker has not heard it
//   row-written  its row says done, and the bell was not rung      } in the server, before it
//   published    its row says done, and the bell was rung          } answers
//
// VARVE_TEST_KILL_AT=STEP:TIMES[:PIPELINE][,…]  when it comes there for that time, from 1 (in that pipeline)
// VARVE_TEST_KILL_WITH=SIGNAL                   default SIGKILL; SIGSTOP freezes it
// VARVE_TEST_KILL_MARKER=FILE                   FILE.STEP is made before; where it is already, nothing
//     happens. In it are lines of JSON: the Strike, and an Afterwards for each act once thawed. The Strike
//     is also written to stderr, for who cannot read the file.

import { appendFileSync, existsSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import type { Claim, OutputWriter, WorkerApi } from '../../src/api/worker.ts'
import { fromUtf8 } from '../../src/base/bytes.ts'
import type { Bus } from '../../src/bus/bus.ts'
import { TOPICS } from '../../src/bus/bus.ts'
import type { Runner } from '../../src/exec/runner.ts'
import type { ChunkKey } from '../../src/model/datum.ts'
import type { Ring } from '../../src/pipelines/bell.ts'

export const WORKER_STEPS = ['claimed', 'laid-out', 'run', 'uploaded', 'done'] as const
export const SERVER_STEPS = ['row-written', 'published'] as const
export type Step = (typeof WORKER_STEPS | typeof SERVER_STEPS)[number]

/** Where it struck. */
export interface Strike {
  readonly step: Step
  readonly pipeline: string
  readonly n: number
  /** The one in hand, of `laid-out` and `run`. */
  readonly datum?: string
  /** Of the chunk, in their order; none at the steps of a server that is not the worker as well. */
  readonly datums: readonly string[]
}

/** What a frozen worker does once it goes on: says done, asks for the next chunk. */
export type Afterwards =
  | { readonly act: 'done'; readonly counts: boolean }
  | { readonly act: 'ask' }

export interface KillOrder {
  readonly step: Step
  readonly times: number
  readonly pipeline?: string
}

/** What a process is told, so that it ends there: `varve dev`, `serve` or `work`. */
export function killEnv(
  orders: readonly KillOrder[],
  to: {
    readonly marker: string
    readonly signal?: 'SIGKILL' | 'SIGSTOP'
    /** Where this file lies for that process. */
    readonly preload?: string
  },
): Readonly<Record<string, string>> {
  const { marker, signal = 'SIGKILL', preload = import.meta.url } = to
  const text = ({ step, times, pipeline }: KillOrder): string =>
    [step, times, ...(pipeline === undefined ? [] : [pipeline])].join(':')
  return {
    NODE_OPTIONS: `--import=${preload}`,
    VARVE_TEST_KILL_AT: orders.map(text).join(','),
    VARVE_TEST_KILL_WITH: signal,
    VARVE_TEST_KILL_MARKER: marker,
  }
}

export interface Marker {
  /** Undefined: it did not come there yet. */
  readonly strike: Strike | undefined
  readonly afterwards: readonly Afterwards[]
}

export function readMarker(marker: string, step: Step): Marker {
  const file = `${marker}.${step}`
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const [strike, ...afterwards] = text.split('\n').slice(0, -1)
  return {
    strike: strike === undefined ? undefined : (JSON.parse(strike) as Strike),
    afterwards: afterwards.map((line) => JSON.parse(line) as Afterwards),
  }
}

class Killer {
  readonly #orders: readonly { readonly order: KillOrder; readonly file: string; came: number }[]
  readonly #signal: string
  readonly #claims = new Map<string, Claim>()
  #struck: string | undefined

  constructor(orders: string, marker: string, signal: string) {
    this.#signal = signal
    this.#orders = orders.split(',').flatMap((text) => {
      const [step, times, pipeline] = text.split(':') as [Step, string, string?]
      const file = `${marker}.${step}`
      if (existsSync(file)) return []
      const order = { step, times: Number(times), ...(pipeline === undefined ? {} : { pipeline }) }
      return [{ order, file, came: 0 }]
    })
  }

  noteClaim(claim: Claim): void {
    for (const { id } of claim.datums) this.#claims.set(`${claim.job}/${id}`, claim)
  }

  at(step: Step, chunk: ChunkKey | Claim): void {
    const { pipeline, n } = chunk
    this.#strike({ step, pipeline, n, datums: 'datums' in chunk ? idsOf(chunk) : [] })
  }

  atDatum(step: Step, env: Readonly<Record<string, string>>): void {
    const datum = env['VARVE_DATUM_ID'] ?? ''
    const claim = this.#claims.get(`${env['VARVE_JOB_ID']}/${datum}`)
    if (!claim) throw new Error(`kill-at: the code runs for "${datum}", which was never claimed`)
    const { pipeline, n } = claim
    this.#strike({ step, pipeline, n, datum, datums: idsOf(claim) })
  }

  afterwards(what: Afterwards): void {
    if (this.#struck !== undefined) appendFileSync(this.#struck, `${JSON.stringify(what)}\n`)
  }

  #strike(strike: Strike): void {
    for (const each of this.#orders) {
      const { step, times, pipeline } = each.order
      if (step !== strike.step || (pipeline !== undefined && pipeline !== strike.pipeline)) continue
      if (++each.came !== times) continue
      const line = `${JSON.stringify(strike)}\n`
      writeFileSync(each.file, line, { flag: 'wx', flush: true })
      writeSync(process.stderr.fd, line)
      this.#struck = each.file
      process.kill(process.pid, this.#signal)
    }
  }
}

const idsOf = (claim: Claim): string[] => claim.datums.map(({ id }) => id)

/** `api`: a prototype of what the agents of this process ask. */
function wrapApi(killer: Killer, api: WorkerApi): void {
  const { claim, done, output } = api
  api.claim = async function (this: WorkerApi, ...args) {
    killer.afterwards({ act: 'ask' })
    const claimed = await claim.apply(this, args)
    if (!claimed) return undefined
    killer.noteClaim(claimed)
    killer.at('claimed', claimed)
    return claimed
  }
  api.output = function (this: WorkerApi, claimed) {
    const writer = output.call(this, claimed)
    const finish: OutputWriter['finish'] = writer.finish.bind(writer)
    writer.finish = async (results) => {
      const tree = await finish(results)
      killer.at('uploaded', claimed)
      return tree
    }
    return writer
  }
  api.done = async function (this: WorkerApi, claimed, result) {
    const counts = await done.call(this, claimed, result)
    killer.afterwards({ act: 'done', counts })
    killer.at('done', claimed)
    return counts
  }
}

function wrapRunner(killer: Killer, runner: Runner): void {
  const { run } = runner
  runner.run = async function (this: Runner, request, line, signal) {
    killer.atDatum('laid-out', request.env)
    const exit = await run.call(this, request, line, signal)
    killer.atDatum('run', request.env)
    return exit
  }
}

function wrapBus(killer: Killer, bus: Bus): void {
  const { publish } = bus
  bus.publish = async function (this: Bus, topic, messages) {
    const done = topic === TOPICS.datums ? messages.map(ringOf).filter(isDone) : []
    for (const { chunk } of done) killer.at('row-written', chunk)
    await publish.call(this, topic, messages)
    for (const { chunk } of done) killer.at('published', chunk)
  }
}

const ringOf = ({ value }: { value: Uint8Array }): Ring => JSON.parse(fromUtf8(value)) as Ring
const isDone = ({ kind }: Ring): boolean => kind === 'done'

/** Of the modules that a command uses; a class that is not there yet has nothing to be wrapped. */
const WRAPPED = {
  dev: {
    api: ['server/work.ts', 'WorkDesk'],
    runner: ['exec/adapters/process/runner.ts', 'ProcessRunner'],
    bus: ['bus/adapters/memory.ts', 'MemoryBus'],
  },
  work: {
    api: ['client/worker-api.ts', 'HttpWorkerApi'],
    runner: ['exec/adapters/process/runner.ts', 'ProcessRunner'],
    podRunner: ['exec/adapters/kubernetes/pod-runner.ts', 'PodRunner'],
  },
  serve: { bus: ['bus/adapters/kafka/bus.ts', 'KafkaBus'] },
} as const

async function prototypeOf<T>([file, name]: readonly [string, string]): Promise<T | undefined> {
  const url = new URL(`../../src/${file}`, import.meta.url)
  if (!existsSync(fileURLToPath(url))) return undefined
  const module = (await import(url.href)) as Readonly<Record<string, { readonly prototype: T }>>
  return module[name]?.prototype
}

async function arm(command: keyof typeof WRAPPED, killer: Killer): Promise<void> {
  const wraps: Readonly<Record<string, readonly [string, string]>> = WRAPPED[command]
  const { api, bus, ...runners } = wraps
  const desk = api && (await prototypeOf<WorkerApi>(api))
  if (desk) wrapApi(killer, desk)
  const bell = bus && (await prototypeOf<Bus>(bus))
  if (bell) wrapBus(killer, bell)
  for (const each of Object.values(runners)) {
    const runner = await prototypeOf<Runner>(each)
    if (runner) wrapRunner(killer, runner)
  }
}

const {
  VARVE_TEST_KILL_AT: orders,
  VARVE_TEST_KILL_MARKER: marker,
  VARVE_TEST_KILL_WITH: signal = 'SIGKILL',
} = process.env
const [, entry = '', command = ''] = process.argv
// Children and threads of the process have its variables too.
const isProduct = isMainThread && entry.endsWith('/main/varve.mjs') && command in WRAPPED
if (isProduct && orders && marker)
  await arm(command as keyof typeof WRAPPED, new Killer(orders, marker, signal))
