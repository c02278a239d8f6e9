// What the agent and the runner of its pod say to each other through pipes (runner.sh says it whole).
// Pure. The runner believes the agent; what comes from the runner's side is taken as if user code had
// written it: bounded, and worth nothing without the nonce of the command it is about.

import { VarveError } from '../../../base/errors.ts'
import { LineCutter } from '../process/lines.ts'

interface PodCommand {
  readonly cmd: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
  readonly stdin: boolean
}

/** The file beside the pipes that says what to run. */
export const COMMAND_FILE = 'command'

/**
 * A script for the runner, of assignments and one list.
 * @throws VarveError CODE_FAILED when no process could be given this
 */
export function commandScript({ cmd, env, cwd, stdin }: PodCommand): string {
  const [program = '', ...args] = cmd
  const given = [...cmd, ...Object.entries(env).flat(), cwd ?? '']
  if (given.some((text) => text.includes('\0')))
    throw new VarveError('CODE_FAILED', `cannot start "${program}": it is given a NUL character`)
  const variables = Object.entries(env).map(([name, value]) => quoted(`${name}=${value}`))
  const words = [...variables, '$varve_through "$varve_program"', ...args.map(quoted)]
  return [
    ...(cwd === undefined ? [] : [`varve_folder=${quoted(cwd)}`]),
    ...(stdin ? ['varve_stdin=y'] : []),
    ...(env['PATH'] === undefined ? [] : [`varve_path=${quoted(env['PATH'])}`]),
    `look_up ${quoted(program)}`,
    `set -- ${words.join(' ')}`,
    '',
  ].join('\n')
}

/** One word of a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

export const HELLO = (nonce: string): Buffer => field(`hello:${nonce}`)
export const RUN = (nonce: string): Buffer => field(`run:${nonce}`)
export const KILL = field('kill')
export const BYE = field('bye')

function field(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}

export interface Reply {
  readonly kind: string
  readonly nonce: string
  readonly text: string
}

const MAX_REPLY_BYTES = 4_096

/** Cuts the replies out of what comes; a line too long for one is passed over. */
export class Replies {
  #rest = ''
  #skips = false

  take(bytes: Buffer): Reply[] {
    const lines = (this.#rest + bytes.toString('latin1')).split('\n')
    this.#rest = lines.pop() ?? ''
    const whole = this.#skips ? lines.slice(1) : lines
    if (lines.length > 0) this.#skips = false
    if (this.#rest.length > MAX_REPLY_BYTES) this.#skips = true
    if (this.#skips) this.#rest = ''
    return whole.filter((line) => line.length <= MAX_REPLY_BYTES).map(replyOf)
  }
}

function replyOf(line: string): Reply {
  const [kind = '', nonce = '', ...words] = line.split(' ')
  return { kind, nonce, text: words.join(' ') }
}

/** Lines of one command's output: up to the mark, which only the runner can set. */
export class MarkedLines {
  readonly #mark: Buffer
  readonly #cutter = new LineCutter()
  /** What may be the beginning of the mark. */
  #held: Buffer = Buffer.alloc(0)
  ended = false

  constructor(nonce: string) {
    this.#mark = Buffer.from(`\0${nonce}`)
  }

  take(bytes: Buffer): string[] {
    if (this.ended) return []
    const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes])
    const at = all.indexOf(this.#mark)
    if (at >= 0) {
      this.ended = true
      return [...this.#cutter.take(all.subarray(0, at)), ...this.#cutter.end()]
    }
    let keep = Math.min(this.#mark.length - 1, all.length)
    while (!this.#mark.subarray(0, keep).equals(all.subarray(all.length - keep))) keep--
    this.#held = Buffer.from(all.subarray(all.length - keep))
    return this.#cutter.take(all.subarray(0, all.length - keep))
  }
}
