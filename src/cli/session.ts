// What every command gets: the client, the project, where to print.

import { Client } from '../client/client.ts'
import { VarveError } from '../base/errors.ts'
import { DEFAULT_PROJECT } from '../model/name.ts'
import type { Ref } from '../model/ref.ts'
import { parseRef } from '../model/ref.ts'
import type { PartSizes } from './batches.ts'
import { discover } from './discover.ts'
import type { Format, Sink } from './output.ts'
import { FORMATS, Output } from './output.ts'

export interface CliWorld {
  readonly stdout: Sink
  readonly stderr: Sink
  readonly stdin: AsyncIterable<Uint8Array>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  readonly fetch?: typeof fetch
  /** How uploads are cut; default PART_SIZES. */
  readonly partSizes?: PartSizes
}

/** Options every command takes. */
export interface GlobalOptions {
  readonly project?: string
  readonly server?: string
  readonly token?: string
  readonly output?: string
  readonly color?: string
}

export class Session {
  readonly world: CliWorld
  readonly output: Output
  readonly project: string
  readonly #options: GlobalOptions
  #client: Promise<Client> | undefined

  constructor(world: CliWorld, options: GlobalOptions) {
    this.world = world
    this.#options = options
    this.project = options.project ?? world.env['VARVE_PROJECT'] ?? DEFAULT_PROJECT
    this.output = new Output({
      format: formatOf(options.output),
      color: wantsColor(options.color, world),
      stdout: world.stdout,
      stderr: world.stderr,
    })
  }

  get signal(): AbortSignal {
    return this.world.signal
  }

  client(): Promise<Client> {
    this.#client ??= this.#connect()
    return this.#client
  }

  async #connect(): Promise<Client> {
    const { server, token } = this.#options
    const { env, cwd, fetch } = this.world
    const at = await discover({ server, token, env, cwd })
    return new Client({ baseUrl: at.url, token: at.token, ...(fetch ? { fetch } : {}) })
  }

  /** A reference with its project; the one it names wins over `--project`. */
  ref(text: string): Ref & { readonly project: string } {
    const ref = parseRef(text)
    return { ...ref, project: ref.project ?? this.project }
  }

  /** `[project/]name`, with nothing behind it. */
  name(text: string): { readonly project: string; readonly name: string } {
    const ref = this.ref(text)
    if (ref.version !== undefined || ref.path !== undefined)
      throw new VarveError('INVALID_REF', `cannot use "${text}" here: give the name alone`)
    return { project: ref.project, name: ref.repo }
  }

  /** `[project/]name@version`, the version required. */
  versioned(text: string, noun: string): { project: string; name: string; version: string } {
    const ref = this.ref(text)
    if (ref.version === undefined)
      throw new VarveError('INVALID_REF', `cannot use "${text}": write it as ${noun}`)
    return { project: ref.project, name: ref.repo, version: versionOf(ref) }
  }

  /** `[project/]pipeline[@job]`: without a job the newest one. */
  job(text: string): { project: string; name: string; version: string } {
    const ref = this.ref(text)
    const version = ref.version === undefined ? 'latest' : versionOf(ref)
    return { project: ref.project, name: ref.repo, version }
  }
}

/** The part behind "@" as the API takes it; the default branch when there is none. */
export function versionOf(ref: Ref): string {
  const base = ref.version ?? 'master'
  const named = ref.branch === undefined ? base : `${ref.branch}=${base}`
  return ref.back === 0 ? named : `${named}~${ref.back}`
}

export function formatOf(text: string | undefined): Format {
  const format = FORMATS.find((one) => one === (text ?? 'text'))
  if (format) return format
  throw new VarveError(
    'INVALID_OPTION',
    `cannot print as "${text}": it is one of ${FORMATS.join(', ')}`,
  )
}

function wantsColor(flag: string | undefined, world: CliWorld): boolean {
  if (flag === 'always') return true
  if (flag === 'never') return false
  if (flag !== undefined && flag !== 'auto')
    throw new VarveError(
      'INVALID_OPTION',
      `cannot use "${flag}" for --color: auto, always or never`,
    )
  return !world.env['NO_COLOR'] && world.env['TERM'] !== 'dumb' && world.stdout.isTTY === true
}
