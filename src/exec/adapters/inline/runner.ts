// Runs functions of this process as if they were user code: for tests and simulation.

import { hash } from 'node:crypto'
import { fromUtf8, utf8 } from '../../../base/bytes.ts'
import { VarveError } from '../../../base/errors.ts'
import type { CodeDigest, Exit, OutputLine, RunRequest, Runner, Transform } from '../../runner.ts'
import type { MemoryFolder, MemoryScratch } from './scratch.ts'

/** What a program sees; paths are below its pfs folder, such as `images/a.png` and `out/a.png`. */
export interface ProgramContext {
  readonly request: RunRequest
  readonly folder: MemoryFolder
  readonly signal: AbortSignal
  /** Files below a path, in order. */
  list(path: string): string[]
  text(path: string): string
  write(path: string, text: string): void
  print(text: string, stream?: OutputLine['stream']): void
}

export interface Program {
  /** Stands for the bytes of the code: another version is other code. */
  readonly version: string
  /** Its exit code; undefined is 0. A throw is exit code 1 with the message on stderr. */
  run(context: ProgramContext): Promise<number | void> | number | void
}

/** `cmd[0]` names the program. */
export class InlineRunner implements Runner {
  readonly mountsPfs = true
  /** Replace an entry to edit the code. */
  readonly programs: Map<string, Program>
  readonly #scratch: MemoryScratch

  constructor(options: { scratch: MemoryScratch; programs: Readonly<Record<string, Program>> }) {
    this.#scratch = options.scratch
    this.programs = new Map(Object.entries(options.programs))
  }

  async identify(transform: Transform): Promise<CodeDigest> {
    return hash('sha256', JSON.stringify(transform.cmd.map((arg, i) => this.#identity(arg, i))))
  }

  #identity(arg: string, i: number): string {
    return i === 0 ? this.#program(arg).version : (this.programs.get(arg)?.version ?? '')
  }

  #program(name: string | undefined): Program {
    const program = this.programs.get(name ?? '')
    if (program) return program
    throw new VarveError('CODE_FAILED', `cannot start "${name ?? ''}": there is no such program`)
  }

  async run(
    request: RunRequest,
    line: (line: OutputLine) => void,
    signal: AbortSignal,
  ): Promise<Exit> {
    const program = this.#program(request.cmd[0])
    const { timeoutMs } = request.limits
    const ended = AbortSignal.any([
      signal,
      ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]),
    ])
    const killed = new Promise<Exit>((resolve) => {
      const kill = (): void => resolve({ code: null, signal: 'SIGKILL', timedOut: !signal.aborted })
      if (ended.aborted) kill()
      ended.addEventListener('abort', kill, { once: true })
    })
    const folder = this.#scratch.at(request.pfs)
    const print = (text: string, stream: OutputLine['stream'] = 'stdout'): void => {
      if (!ended.aborted)
        for (const each of text.split('\n')) line({ stream, text: each.slice(0, 65_536) })
    }
    const context: ProgramContext = {
      request,
      folder,
      signal: ended,
      list: (path) => [...folder.nodes.keys()].filter((key) => key.startsWith(`${path}/`)).sort(),
      text: (path) => {
        const node = folder.nodes.get(path)
        if (!node || !('bytes' in node)) throw new Error(`no such file: ${path}`)
        return fromUtf8(node.bytes)
      },
      write: (path, text) => void folder.nodes.set(path, { bytes: utf8(text) }),
      print,
    }
    const run = async (): Promise<Exit> => {
      try {
        return { code: (await program.run(context)) ?? 0, signal: null, timedOut: false }
      } catch (error) {
        print(String((error as Error).message), 'stderr')
        return { code: 1, signal: null, timedOut: false }
      }
    }
    return Promise.race([killed, run()])
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
