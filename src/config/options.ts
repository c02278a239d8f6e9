// Every option of a server, once: its type, default, words, variable and flag. Parsing, help and
// docs/options.md are made from this table.

export type OptionType = 'text' | 'integer' | 'port' | 'boolean' | 'bytes' | 'choice'

export interface OptionSpec {
  readonly type: OptionType
  /** Undefined: not set unless somebody does. */
  readonly default: string | number | boolean | undefined
  /** One sentence, for help and docs. */
  readonly doc: string
  readonly env: string
  readonly flag: string
  /** Who reads it. */
  readonly scope: 'server' | 'worker'
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** Never shown, not in help and not in logs. */
  readonly secret?: boolean
}

export const OPTIONS = {
  data: {
    type: 'text',
    default: '.varve',
    doc: 'Folder that holds everything; made when it is not there',
    env: 'VARVE_DATA',
    flag: '--data',
    scope: 'server',
  },
  host: {
    type: 'text',
    default: '127.0.0.1',
    doc: 'Address to listen on; loopback unless you say otherwise',
    env: 'VARVE_HOST',
    flag: '--host',
    scope: 'server',
  },
  port: {
    type: 'port',
    default: 7070,
    doc: 'Port to listen on; when it is taken, the next free one; 0: any',
    env: 'VARVE_PORT',
    flag: '--port',
    scope: 'server',
  },
  token: {
    type: 'text',
    default: undefined,
    doc: 'Token callers must send; default: one made at the first start, in the file "token" of the data folder',
    env: 'VARVE_TOKEN',
    flag: '--token',
    scope: 'server',
    secret: true,
  },
  logLevel: {
    type: 'choice',
    default: 'info',
    doc: 'Lines below this level are not written',
    env: 'VARVE_LOG_LEVEL',
    flag: '--log-level',
    scope: 'server',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
  },
  workers: {
    type: 'integer',
    default: undefined,
    doc: 'Datums worked on at once; default: one for each processor',
    env: 'VARVE_WORKERS',
    flag: '--workers',
    scope: 'worker',
    min: 1,
    max: 1024,
  },
  maxUploadBytes: {
    type: 'bytes',
    default: 2 ** 40,
    doc: 'Largest body of one upload: 512MiB, 1TiB',
    env: 'VARVE_MAX_UPLOAD_BYTES',
    flag: '--max-upload-bytes',
    scope: 'server',
    min: 1,
  },
} as const satisfies Readonly<Record<string, OptionSpec>>

export type OptionName = keyof typeof OPTIONS

type ValueOf<S extends OptionSpec> = S['type'] extends 'integer' | 'port' | 'bytes'
  ? number
  : S['type'] extends 'boolean'
    ? boolean
    : string

/** What a server is told; an option without a default may be absent. */
export type Options = {
  readonly [N in OptionName]:
    | ValueOf<(typeof OPTIONS)[N]>
    | ((typeof OPTIONS)[N]['default'] extends undefined ? undefined : never)
}
