// Runs user code as child processes of a spawner; behind bubblewrap where it works, so that the code
// finds /pfs itself, else as a plain child that looks at PFS_ROOT.

import { constants } from 'node:os'
import { isAbsolute, resolve } from 'node:path'
import { VarveError } from '../../../base/errors.ts'
import type { CodeDigest, Exit, OutputLine, RunRequest, Runner, Transform } from '../../runner.ts'
import { FileDigests, identify } from './identity.ts'
import { executable, inPath, probeSandbox } from './sandbox.ts'
import type { Sandbox } from './sandbox.ts'
import { SpawnerClient } from './spawner-client.ts'

export interface ProcessRunnerOptions {
  /** Where relative paths of commands and code begin; the server's working folder. */
  readonly codeRoot: string
  /** Folders programs are looked up in, and PATH of the code unless it sets its own. */
  readonly path: string
  /** False: never use bubblewrap. */
  readonly sandbox?: boolean
}

/** Signals a program may die of, by 128 + number: how bubblewrap reports a child's death. */
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [128 + number, name]),
)

export class ProcessRunner implements Runner {
  readonly mountsPfs: boolean
  /** Why /pfs is not there for the code, if it is not; worth one line at start. */
  readonly sandboxMissing: string | undefined
  readonly #options: ProcessRunnerOptions
  readonly #spawner: SpawnerClient
  readonly #sandbox: Sandbox | undefined
  readonly #digests = new FileDigests()

  private constructor(
    options: ProcessRunnerOptions,
    spawner: SpawnerClient,
    sandbox: Sandbox | { readonly missing: string },
  ) {
    this.#options = options
    this.#spawner = spawner
    this.#sandbox = 'missing' in sandbox ? undefined : sandbox
    this.sandboxMissing = 'missing' in sandbox ? sandbox.missing : undefined
    this.mountsPfs = this.#sandbox !== undefined
  }

  /** Starts the spawner and finds out, by running it, whether bubblewrap works. */
  static async open(options: ProcessRunnerOptions): Promise<ProcessRunner> {
    const spawner = new SpawnerClient()
    const sandbox =
      options.sandbox === false
        ? { missing: 'bubblewrap is switched off' }
        : await probeSandbox(spawner, options.path)
    return new ProcessRunner(options, spawner, sandbox)
  }

  async identify(transform: Transform): Promise<CodeDigest> {
    const [command = '', ...args] = transform.cmd
    const cwd = this.#cwd(transform.workingDir)
    const path = transform.env?.['PATH'] ?? this.#options.path
    const file = await this.#resolve(command, path, cwd)
    const errArgs = transform.errCmd ?? []
    return identify(
      this.#digests,
      file,
      [...args, ...errArgs],
      transform.code ?? [],
      this.#options.codeRoot,
    )
  }

  async run(
    request: RunRequest,
    line: (line: OutputLine) => void,
    signal: AbortSignal,
  ): Promise<Exit> {
    const [command = '', ...args] = request.cmd
    const cwd = this.#cwd(request.cwd)
    const env = { PATH: this.#options.path, ...request.env }
    const file = await this.#resolve(command, env.PATH, cwd)
    const sandbox = this.#sandbox
    const exit = await this.#spawner.run(
      {
        file: sandbox?.file ?? file,
        args: sandbox ? [...sandbox.args(request.pfs, cwd), file, ...args] : args,
        env,
        cwd: sandbox ? '/' : cwd,
        stdin: request.stdin,
        timeoutMs: request.limits.timeoutMs,
      },
      line,
      signal,
    )
    const died = sandbox && exit.code !== null ? SIGNAL_NAMES.get(exit.code) : undefined
    return died === undefined ? exit : { ...exit, code: null, signal: died }
  }

  #cwd(workingDir: string | undefined): string {
    return resolve(this.#options.codeRoot, workingDir ?? '.')
  }

  async #resolve(command: string, path: string, cwd: string): Promise<string> {
    const file = command.includes('/')
      ? isAbsolute(command)
        ? command
        : resolve(cwd, command)
      : command === ''
        ? undefined
        : await inPath(command, path)
    if (file !== undefined && (await executable(file))) return file
    throw new VarveError(
      'CODE_FAILED',
      file === undefined
        ? `cannot start "${command}": no such program in PATH`
        : `cannot start "${command}": it is not an executable file here`,
    )
  }

  close(): Promise<void> {
    this.#spawner.close()
    return Promise.resolve()
  }
}
