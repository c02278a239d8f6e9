// The whole product in its own process, used as a person uses it: the command line and HTTP.
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export const ROOT: string = resolve(import.meta.dirname, '../..')
const NODE = join(ROOT, 'node_modules/.bin/node')
/** What is started. */
export const ENTRY: string = join(ROOT, 'src/main/varve.mjs')

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line to its end. */
export function cli(
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; stdin?: string | Uint8Array } = {},
): Promise<Ran> {
  return run(NODE, [ENTRY, ...args], options)
}

export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; stdin?: string | Uint8Array } = {},
): Promise<Ran> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, NO_COLOR: '1', ...options.env },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', failed)
    child.on('close', (code) => done({ code, stdout, stderr }))
    child.stdin.on('error', () => {}) // a command that ends early leaves its input unread
    child.stdin.end(options.stdin ?? '')
  })
}

/** An embedded server with a data folder of its own, and the tools to use and to kill it. */
export class Product {
  readonly data: string
  #child: ChildProcess | undefined
  #output = ''
  #url = ''

  constructor(data: string = mkdtempSync(join(tmpdir(), 'varve-product-'))) {
    this.data = data
  }

  static async start(options: { data?: string; args?: readonly string[] } = {}): Promise<Product> {
    const product = new Product(options.data)
    await product.start(options.args)
    return product
  }

  async start(args: readonly string[] = []): Promise<void> {
    rmSync(join(this.data, 'server.json'), { force: true })
    const child = spawn(NODE, [ENTRY, 'dev', '--data', this.data, '--port', '0', ...args], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the server ended at its start:\n${this.#output}`)
      try {
        const { url } = JSON.parse(readFileSync(join(this.data, 'server.json'), 'utf8')) as {
          url: string
        }
        const ready = await fetch(`${url}/readyz`)
        if (ready.ok) {
          this.#url = url
          return
        }
      } catch {
        // Not listening yet.
      }
      await sleep(50)
    }
  }

  get url(): string {
    return this.#url
  }

  get token(): string {
    return readFileSync(join(this.data, 'token'), 'utf8').trim()
  }

  get output(): string {
    return this.#output
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  /** The most memory it ever held, in bytes. */
  get peakRssBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
  }

  /** `varve …` against this server. */
  cli(args: readonly string[], stdin?: string | Uint8Array): Promise<Ran> {
    const env = { VARVE_SERVER: this.#url, VARVE_TOKEN: this.token }
    return cli(args, { env, ...(stdin === undefined ? {} : { stdin }) })
  }

  /** Like `cli`, and it must succeed; what it printed. */
  async varve(args: readonly string[], stdin?: string | Uint8Array): Promise<string> {
    const ran = await this.cli(args, stdin)
    if (ran.code !== 0)
      throw new Error(`varve ${args.join(' ')} ended with ${ran.code}:\n${ran.stderr}${ran.stdout}`)
    return ran.stdout
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#url}/api/v1${path}`, {
      ...init,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(init.headers as Record<string, string>),
      },
    })
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  /** Ends it in an orderly way and removes its data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGTERM')
    rmSync(this.data, { recursive: true, force: true })
  }
}
