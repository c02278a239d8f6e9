// The agent's ends of the pipes to the runner, for as long as both processes live.
// Invariants:
// - the pipes can be opened only while they are being connected, when no code runs: then their modes shut
//   code out, which sees them through a mount it cannot change. Code of an agent that died is killed by
//   the runner as soon as it is dead, long before a new one is here;
// - a read end that comes to its end means that the runner is gone, and everything in its container;
// - pipes are read through the event loop: a blocking read would hold a thread of Node's four for ever.

import { randomBytes } from 'node:crypto'
import { constants, openSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { VarveError } from '../../../base/errors.ts'
import { COMMAND_FILE, HELLO, Replies } from './pod-protocol.ts'
import type { Reply } from './pod-protocol.ts'
import { PIPES } from './pod.ts'

const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants
const AGAIN_MS = 50

type Pipe = (typeof PIPES)[number]

/** Of the pipes once they are connected. Code may do with its own input and output what it likes. */
const MODES: Readonly<Record<Pipe, number>> = {
  request: 0,
  reply: 0,
  stdin: 0o600,
  stdout: 0o200,
  stderr: 0o200,
}

interface Listener {
  reply(reply: Reply): void
  output(stream: 'stdout' | 'stderr', bytes: Buffer): void
  /** The runner is gone. */
  gone(): void
}

export function newNonce(): string {
  return randomBytes(16).toString('hex')
}

export class RunnerLink {
  readonly #folder: string
  readonly #sockets = new Map<Pipe, Socket>()
  /** Whoever runs something now. */
  listener: Listener | undefined
  ended = false

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Waits for the runner. @throws the signal's reason */
  static async open(folder: string, signal: AbortSignal): Promise<RunnerLink> {
    for (;;) {
      signal.throwIfAborted()
      const link = new RunnerLink(folder)
      try {
        if (await link.#connect(signal)) return link
      } catch (error) {
        link.close()
        throw error
      }
      link.close()
    }
  }

  async #connect(signal: AbortSignal): Promise<boolean> {
    for (const pipe of PIPES) await chmod(join(this.#folder, pipe), 0o600)
    const replies = new Replies()
    const nonce = newNonce()
    const ready = Promise.withResolvers<boolean>()
    this.listener = {
      reply: (reply) => {
        if (reply.kind === 'ready' && reply.nonce === nonce) ready.resolve(true)
      },
      output: () => {},
      gone: () => ready.resolve(false),
    }
    this.#open('reply', O_RDONLY).on('data', (bytes: Buffer) => {
      for (const reply of replies.take(bytes)) this.listener?.reply(reply)
    })
    for (const stream of ['stdout', 'stderr'] as const)
      this.#open(stream, O_RDONLY).on('data', (bytes: Buffer) =>
        this.listener?.output(stream, bytes),
      )
    const request = await this.#whenRead(signal)
    // Once may not do: the runner may just be ending a command of an agent before us.
    const again = setInterval(() => request.write(HELLO(nonce)), AGAIN_MS)
    const stop = (): void => ready.resolve(false)
    signal.addEventListener('abort', stop, { once: true })
    request.write(HELLO(nonce))
    try {
      if (!(await ready.promise)) return false
    } finally {
      clearInterval(again)
      signal.removeEventListener('abort', stop)
    }
    for (const pipe of PIPES) await chmod(join(this.#folder, pipe), MODES[pipe])
    this.listener = undefined
    return !this.ended
  }

  /** The pipe of requests, once the runner opens it too. */
  async #whenRead(signal: AbortSignal): Promise<Socket> {
    for (;;)
      try {
        return this.#open('request', O_WRONLY)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error
        await sleep(AGAIN_MS, undefined, { signal })
      }
  }

  #open(pipe: Pipe, flags: number): Socket {
    const socket = openPipe(join(this.#folder, pipe), flags)
    const gone = (): void => this.#gone()
    socket.on('error', gone).on('end', gone).on('close', gone)
    this.#sockets.set(pipe, socket)
    return socket
  }

  /** What the next request runs. @throws VarveError CODE_FAILED when it is too much */
  async command(script: string): Promise<void> {
    const file = join(this.#folder, COMMAND_FILE)
    try {
      await writeFile(file, script, { mode: 0o600 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      throw new VarveError(
        'CODE_FAILED',
        'cannot start code: its variables and arguments are too long',
      )
    }
  }

  send(bytes: Buffer): void {
    this.#sockets.get('request')?.write(bytes)
  }

  /** What is written to it comes to the code; destroyed, it is its end. */
  stdin(): Socket {
    // Read and write, so that it need not wait for the code to open it.
    return openPipe(join(this.#folder, 'stdin'), O_RDWR)
  }

  /** Whether output is read; while it is not, the code waits when the pipe is full. */
  flow(stream: 'stdout' | 'stderr', on: boolean): void {
    const socket = this.#sockets.get(stream)
    if (on) socket?.resume()
    else socket?.pause()
  }

  #gone(): void {
    if (this.ended) return
    this.close()
    this.listener?.gone()
  }

  close(bytes?: Buffer): void {
    this.ended = true
    for (const [pipe, socket] of this.#sockets)
      if (pipe === 'request' && bytes) socket.write(bytes, () => socket.destroy())
      else socket.destroy()
  }
}

/** Never blocks. @throws ENXIO when it is to be written and nobody reads it */
function openPipe(file: string, flags: number): Socket {
  const fd = openSync(file, flags | O_NONBLOCK)
  return new Socket({ fd, readable: flags === O_RDONLY, writable: flags !== O_RDONLY })
}
