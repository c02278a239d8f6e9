// One command in a pod, from its request to its end: `ended` was said, the marks of both its outputs were
// seen, and its lines were taken.

import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { VarveError } from '../../../base/errors.ts'
import type { Exit, RunRequest, TakeLine } from '../../runner.ts'
import { KILL, MarkedLines, RUN, commandScript } from './pod-protocol.ts'
import type { Reply } from './pod-protocol.ts'
import { newNonce } from './runner-link.ts'
import type { RunnerLink } from './runner-link.ts'

/** How long a runner may need to end what it was told to end, or to begin. */
const PATIENCE_MS = 30_000

/** Names by 128 + number: how a shell reports a child's death. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [128 + number, name]),
)

const REFUSAL = /^(?:env: can't execute '.*'|\S+\/runner: exec: line \d+: \S+): (.*)$/

export function away(why: string): VarveError {
  return new VarveError('UNAVAILABLE', `cannot run code: the runner in the pod: ${why}`)
}

export class PodRun {
  readonly #link: RunnerLink
  readonly #request: RunRequest
  readonly #line: TakeLine
  readonly #nonce = newNonce()
  readonly #lines = {
    stdout: new MarkedLines(this.#nonce),
    stderr: new MarkedLines(this.#nonce),
  }
  readonly #done = Promise.withResolvers<Exit>()
  #stdin: Socket | undefined
  #patience: NodeJS.Timeout | undefined
  #status: number | undefined
  #failure: string | undefined
  #lastError = ''
  #timedOut = false
  /** Streams that stand still until their lines are taken. */
  #held = 0
  #broken: { readonly error: unknown } | undefined
  #ended = false

  constructor(link: RunnerLink, request: RunRequest, line: TakeLine) {
    this.#link = link
    this.#request = request
    this.#line = line
  }

  async run(signal: AbortSignal): Promise<Exit> {
    const { cmd, env, cwd, stdin, limits } = this.#request
    await this.#link.command(commandScript({ cmd, env, cwd, stdin: stdin !== undefined }))
    const kill = (): void => this.#kill()
    let timer: NodeJS.Timeout | undefined
    this.#link.listener = {
      reply: (reply) => this.#hear(reply),
      output: (stream, bytes) => this.#take(stream, bytes),
      // Whoever ended the container, the kernel for want of memory most of all, ended the code: a try of
      // the datum, or code that takes too much would be run again for ever.
      gone: () => this.#done.resolve({ code: null, signal: 'SIGKILL', timedOut: this.#timedOut }),
    }
    // Before anybody listened.
    if (this.#link.ended) throw away('it ended')
    try {
      if (stdin !== undefined) {
        this.#stdin = this.#link.stdin()
        // Code need not read what it is fed.
        this.#stdin.on('error', () => {})
      }
      this.#link.send(RUN(this.#nonce))
      if (limits.timeoutMs !== undefined)
        timer = setTimeout(() => {
          this.#timedOut = true
          kill()
        }, limits.timeoutMs)
      signal.addEventListener('abort', kill, { once: true })
      if (signal.aborted) kill()
      return await this.#done.promise
    } finally {
      clearTimeout(timer)
      clearTimeout(this.#patience)
      signal.removeEventListener('abort', kill)
      this.#stdin?.destroy()
      this.#link.listener = undefined
    }
  }

  #kill(): void {
    this.#link.send(KILL)
    this.#patience ??= setTimeout(() => {
      this.#link.close()
      this.#done.reject(away(`it did not end the code within ${PATIENCE_MS / 1_000} s`))
    }, PATIENCE_MS)
  }

  #hear(reply: Reply): void {
    if (reply.nonce !== this.#nonce) return
    if (reply.kind === 'started') this.#feed()
    else if (reply.kind === 'failed') this.#failure = reply.text
    else if (reply.kind === 'status') this.#status = Number(reply.text)
    else if (reply.kind === 'ended') {
      this.#ended = true
      this.#finish()
    }
  }

  #feed(): void {
    const socket = this.#stdin
    socket?.write(this.#request.stdin ?? '', () => socket.destroy())
  }

  #take(stream: 'stdout' | 'stderr', bytes: Buffer): void {
    const waits: Promise<void>[] = []
    for (const text of this.#lines[stream].take(bytes)) {
      if (stream === 'stderr') this.#lastError = text
      try {
        const taken = this.#line({ stream, text })
        if (taken) waits.push(taken)
      } catch (error) {
        this.#break(error)
      }
    }
    if (waits.length > 0) void this.#hold(stream, waits)
    this.#finish()
  }

  async #hold(stream: 'stdout' | 'stderr', waits: readonly Promise<void>[]): Promise<void> {
    this.#held++
    this.#link.flow(stream, false)
    try {
      await Promise.all(waits)
    } catch (error) {
      this.#break(error)
    }
    this.#held--
    this.#link.flow(stream, true)
    this.#finish()
  }

  /** Nobody takes its lines: it must end, and then it has failed for that reason. */
  #break(error: unknown): void {
    if (this.#broken) return
    this.#broken = { error }
    this.#kill()
  }

  #finish(): void {
    const { stdout, stderr } = this.#lines
    if (!this.#ended || !stdout.ended || !stderr.ended || this.#held > 0) return
    const failure = this.#failure ?? this.#refusal()
    if (this.#broken) this.#done.reject(this.#broken.error)
    else if (failure !== undefined)
      this.#done.reject(
        new VarveError('CODE_FAILED', `cannot start "${this.#request.cmd[0] ?? ''}": ${failure}`),
      )
    else this.#done.resolve(this.#exit())
  }

  #exit(): Exit {
    const status = this.#status
    const died = status === undefined ? 'SIGKILL' : SIGNAL_NAMES.get(status)
    return { code: died ? null : (status ?? null), signal: died ?? null, timedOut: this.#timedOut }
  }

  /** What kept the system from starting a program that is there, as the runner's programs say it. */
  #refusal(): string | undefined {
    if (this.#status !== 126 && this.#status !== 127) return undefined
    return REFUSAL.exec(this.#lastError)?.[1]
  }
}
