// A server process of the tests: its output is kept, so that a failure can show it.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

const KEPT_BYTES = 256 * 1024

// Whoever started them ends in whatever way: none is left behind.
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class ServerProcess {
  readonly #child: ChildProcess
  readonly #name: string
  #output = ''
  #ended = false

  constructor(
    name: string,
    command: string,
    args: readonly string[],
    options: { cwd: string; env?: NodeJS.ProcessEnv },
  ) {
    this.#name = name
    this.#child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-KEPT_BYTES)
    }
    this.#child.stdout?.on('data', keep)
    this.#child.stderr?.on('data', keep)
    this.#child.on('error', (error) => {
      this.#output += `\n${error.message}`
      this.#ended = true
    })
    this.#child.on('exit', () => {
      running.delete(this.#child)
      this.#ended = true
    })
    running.add(this.#child)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get ended(): boolean {
    return this.#ended
  }

  /** What it has written, the last 256 KiB. */
  get output(): string {
    return this.#output
  }

  /** Polls until `ready` is true. @throws with the end of its output when it ends or takes too long */
  async until(ready: () => boolean | Promise<boolean>, limitMs: number): Promise<void> {
    const deadline = Date.now() + limitMs
    for (;;) {
      if (await ready()) return
      if (this.#ended) throw this.failure('ended before it was ready')
      if (Date.now() > deadline) throw this.failure(`was not ready within ${limitMs / 1000} s`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  failure(what: string): Error {
    return new Error(`${this.#name} ${what}; the end of its log:\n${this.#output.slice(-4000)}`)
  }

  /** SIGTERM, then SIGKILL after the grace; resolves when it is gone. */
  async stop(graceMs = 20_000): Promise<void> {
    if (this.#ended) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await gone
    clearTimeout(timer)
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#ended) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

/** Runs it to its end. @returns what it printed @throws Error with the end of its output */
export async function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let all = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    all += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => (all += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${all.slice(-4000)}`)
  return out
}

/** Below those the system gives to whoever connects: one of them could be taken before a restart. */
const PORTS = { from: 15_000, to: 32_000 }
const given = new Set<number>()

/** A port nobody listens on, and not the one of another call of this process. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.from, PORTS.to)
    if (given.has(port)) continue
    given.add(port)
    const server = createServer().listen(port, '127.0.0.1')
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!free) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
