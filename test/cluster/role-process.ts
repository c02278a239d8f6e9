// One process of a cluster, to be killed, stopped, drained and started again. What it writes goes to a
// file of its own, which outlives it.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ENTRY, ROOT } from '../e2e/product.ts'

const NODE = `${ROOT}/node_modules/.bin/node`
const TAIL_CHARS = 3_000
const KEEPER_MS = 1_000

export interface RoleProcessOptions {
  /** `api-1`, `work-2`, … */
  readonly name: string
  /** Of the command line: `serve --roles api`, … */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  /** Where it answers /readyz; none for a worker. */
  readonly url: string | undefined
}

// A test that ends in any way leaves none behind.
const started = new Set<RoleProcess>()
process.once('exit', () => {
  for (const one of started) if (one.alive) process.kill(one.pid as number, 'SIGKILL')
})

export class RoleProcess {
  readonly name: string
  readonly url: string | undefined
  readonly logFile: string
  readonly #options: RoleProcessOptions
  #child: ChildProcess | undefined
  #stopped = false
  #wanted = false
  readonly #ends: string[] = []

  constructor(options: RoleProcessOptions) {
    this.name = options.name
    this.url = options.url
    this.logFile = options.logFile
    this.#options = options
    started.add(this)
  }

  /** Starts it; `ready` says when it serves. One that ends unasked is started again, as a keeper would. */
  start(): void {
    if (this.alive) throw new Error(`${this.name} runs already`)
    this.#wanted = true
    const { args, env, logFile } = this.#options
    const log = openSync(logFile, 'a')
    const child = spawn(NODE, [ENTRY, ...args], {
      cwd: ROOT,
      env: { ...clean(process.env), NO_COLOR: '1', ...env },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#child = child
    child.once('exit', (code, signal) => {
      if (!this.#wanted || this.#child !== child) return
      this.#ends.push(`${this.name} ended by itself: ${code ?? signal}`)
      setTimeout(() => {
        if (this.#wanted && !this.alive) this.start()
      }, KEEPER_MS)
    })
  }

  /** Each time it ended without being asked to. */
  get ends(): readonly string[] {
    return this.#ends
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get alive(): boolean {
    const child = this.#child
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Asks it once; a process without an address is ready while it runs. */
  async isReady(): Promise<boolean> {
    if (!this.alive || this.#stopped) return false
    if (this.url === undefined) return true
    try {
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(2_000) })
      await answer.arrayBuffer()
      return answer.ok
    } catch {
      return false
    }
  }

  /** @throws with the end of its log when it is not ready in time, or does not stay */
  async ready(limitMs: number): Promise<void> {
    const deadline = Date.now() + limitMs
    const ends = this.#ends.length
    while (!(await this.isReady())) {
      if (this.#ends.length > ends + 3)
        throw new Error(`${this.name} does not stay; ${this.tail()}`)
      if (Date.now() > deadline)
        throw new Error(`${this.name} was not ready within ${limitMs / 1000} s; ${this.tail()}`)
      await sleep(100)
    }
  }

  /** kill -9. False: there was nothing to kill. */
  kill(): Promise<boolean> {
    return this.#end('SIGKILL')
  }

  /** Lets it finish what it has in hand. @returns its exit code, null after a signal */
  async drain(): Promise<number | null> {
    await this.#end('SIGTERM')
    return this.#child?.exitCode ?? null
  }

  /** SIGSTOP: it holds its connections and says nothing. False: there was nothing to stop. */
  stop(): boolean {
    if (!this.alive || this.#stopped) return false
    this.#stopped = true
    return this.#child?.kill('SIGSTOP') ?? false
  }

  resume(): void {
    this.#stopped = false
    this.#child?.kill('SIGCONT')
  }

  /** The end of what it wrote. */
  tail(chars: number = TAIL_CHARS): string {
    let text = ''
    try {
      text = readFileSync(this.logFile, 'utf8')
    } catch {
      // It never wrote.
    }
    return `the end of ${this.logFile}:\n${text.slice(-chars)}`
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<boolean> {
    const child = this.#child
    this.#wanted = false
    if (!child || !this.alive) return false
    const gone = new Promise((resolve) => child.once('exit', resolve))
    if (this.#stopped && signal === 'SIGTERM') child.kill('SIGCONT')
    this.#stopped = false
    child.kill(signal)
    await gone
    return true
  }
}

/** Our own variables reach it only as given. */
function clean(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('VARVE_')))
}
