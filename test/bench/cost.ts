// What a piece of work costs: time, processor time, memory at its highest. Ours runs in a process of
// its own (a job of a benchmark), as the peers do, so that each is charged for itself and nothing else.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

export interface Cost {
  readonly wallMs: number
  /** Of all threads, and of a command's children; user and system. */
  readonly cpuMs: number
  /** Resident memory at its highest, of all processes together. */
  readonly peakBytes: number
}

const SAMPLE_MS = 50
/** Ours is started as the product is. */
const SETTINGS = join(import.meta.dirname, '../../src/main/process.mjs')

/**
 * Runs a job of a benchmark in a process of its own; the start of that process is not counted.
 * @throws Error with the end of what it printed
 */
export async function runJob<T>(
  bench: string,
  job: string,
  args: unknown,
): Promise<{ readonly result: T; readonly cost: Cost }> {
  const run = join(import.meta.dirname, 'run.ts')
  const child = spawn(
    process.execPath,
    ['--import', SETTINGS, run, bench, '--job', job, JSON.stringify(args)],
    {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  )
  const said = kept(child.stdout, child.stderr)
  let answer: { result: T; cost: Cost } | undefined
  child.on('message', (message) => (answer = message as { result: T; cost: Cost }))
  const [code] = (await once(child, 'close')) as [number | null]
  if (!answer) throw new Error(`${bench} --job ${job} ended with ${code}:\n${said()}`)
  return answer
}

/** The other side of `runJob`. */
export async function costOf<T>(work: () => Promise<T>): Promise<{ result: T; cost: Cost }> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const result = await work()
  const wallMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { result, cost: { wallMs, cpuMs: (user + system) / 1000, peakBytes: peakOf('self') } }
}

/**
 * Runs a command to its end, its start included, as its user would pay for it.
 * @throws Error with the end of what it printed
 */
export async function runCommand(
  command: readonly string[],
  options: {
    readonly cwd?: string
    readonly env?: NodeJS.ProcessEnv
    readonly codes?: number[]
  } = {},
): Promise<Cost & { readonly output: string }> {
  // The shell's `times` is what tells the processor time of somebody else's children.
  const script = '"$@" 3>&-; code=$?; times >&3; exit $code'
  const start = performance.now()
  const child = spawn('sh', ['-c', script, 'sh', ...command], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const said = kept(child.stdout, child.stderr)
  const times = kept(child.stdio[3] as Readable)
  let peakBytes = 0
  const sampling = setInterval(() => {
    const sum = treeOf(child.pid as number).reduce((bytes, pid) => bytes + peakOf(String(pid)), 0)
    peakBytes = Math.max(peakBytes, sum)
  }, SAMPLE_MS)
  const [code] = (await once(child, 'close')) as [number | null]
  clearInterval(sampling)
  const wallMs = performance.now() - start
  if (!(options.codes ?? [0]).includes(code ?? -1))
    throw new Error(`${command.join(' ')} ended with ${code}:\n${said()}`)
  return { wallMs, cpuMs: cpuOf(times()), peakBytes, output: said() }
}

/** Of the second line of `times`: 1m2.345s 0m0.067s */
function cpuOf(times: string): number {
  const [, children = ''] = times.split('\n')
  let ms = 0
  for (const [, minutes, seconds] of children.matchAll(/(\d+)m([\d.]+)s/g))
    ms += (Number(minutes) * 60 + Number(seconds)) * 1000
  return ms
}

/** The end of what streams said. */
function kept(...streams: readonly (Readable | null)[]): () => string {
  let all = ''
  for (const stream of streams)
    stream?.on('data', (chunk: Buffer) => (all = (all + chunk.toString()).slice(-16_384)))
  return () => all
}

function peakOf(pid: string): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
  } catch {
    return 0 // it ended, or this is no Linux
  }
}

/** A process and all below it. */
function treeOf(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // It ended meanwhile.
    }
  }
  const tree = [root]
  for (const pid of tree)
    for (const [child, parent] of parents) if (parent === pid) tree.push(child)
  return tree
}
