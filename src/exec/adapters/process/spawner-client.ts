import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { extname, join } from 'node:path'
import { VarveError } from '../../../base/errors.ts'
import type { Exit, OutputLine } from '../../runner.ts'
import type { FromSpawner, RunMessage, ToSpawner } from './messages.ts'

interface Running {
  readonly line: (line: OutputLine) => void
  readonly resolve: (exit: Exit) => void
  readonly reject: (error: unknown) => void
}

/** Our end of the spawner; starts it on first use and again after it died. */
export class SpawnerClient {
  readonly #running = new Map<number, Running>()
  #child: ChildProcess | undefined
  #next = 0
  #closed = false

  /** @throws VarveError CODE_FAILED when it cannot be started, UNAVAILABLE when the spawner died */
  async run(
    message: Omit<RunMessage, 'type' | 'id'>,
    line: (line: OutputLine) => void,
    signal: AbortSignal,
  ): Promise<Exit> {
    const id = ++this.#next
    const child = this.#spawner()
    const send = (each: ToSpawner): void => void child.send(each)
    const kill = (): void => {
      if (child.connected) send({ type: 'kill', id })
    }
    try {
      return await new Promise<Exit>((resolve, reject) => {
        hold(child, true)
        this.#running.set(id, { line, resolve, reject })
        send({ type: 'run', id, ...message })
        if (signal.aborted) kill()
        signal.addEventListener('abort', kill, { once: true })
      })
    } finally {
      signal.removeEventListener('abort', kill)
      this.#running.delete(id)
      if (this.#running.size === 0) hold(child, false)
    }
  }

  #spawner(): ChildProcess {
    if (this.#closed) throw new VarveError('UNAVAILABLE', 'cannot run code: the runner is closed')
    if (this.#child?.connected) return this.#child
    // The same file beside this one, in TypeScript here and in JavaScript once published.
    const entry = join(import.meta.dirname, `spawner${extname(import.meta.filename)}`)
    const child = fork(entry, [], { serialization: 'advanced', execArgv: [], stdio: 'inherit' })
    child.on('message', (message: FromSpawner) => this.#hear(message))
    child.on('exit', (code, signal) => {
      if (this.#child === child) this.#child = undefined
      const error = new VarveError(
        'UNAVAILABLE',
        `cannot run code: the spawner ended (${signal ?? code})`,
      )
      for (const each of this.#running.values()) each.reject(error)
    })
    this.#child = child
    return child
  }

  #hear(message: FromSpawner): void {
    const running = this.#running.get(message.id)
    if (!running) return
    if (message.type === 'lines')
      for (const text of message.lines) running.line({ stream: message.stream, text })
    else if (message.type === 'exit')
      running.resolve({ code: message.code, signal: message.signal, timedOut: message.timedOut })
    else running.reject(new VarveError('CODE_FAILED', `cannot start the code: ${message.message}`))
  }

  close(): void {
    this.#closed = true
    if (this.#child?.connected) this.#child.disconnect()
  }
}

/** Whether it keeps this process alive: only while it runs something. */
function hold(child: ChildProcess, on: boolean): void {
  if (on) child.ref()
  else child.unref()
  if (on) child.channel?.ref()
  else child.channel?.unref()
}
