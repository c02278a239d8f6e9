// What goes between the server and its spawner over IPC.

export interface RunMessage {
  readonly type: 'run'
  readonly id: number
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly stdin: Uint8Array | undefined
  readonly timeoutMs: number | undefined
}

export type ToSpawner = RunMessage | { readonly type: 'kill'; readonly id: number }

export type FromSpawner =
  | {
      readonly type: 'lines'
      readonly id: number
      readonly stream: 'stdout' | 'stderr'
      readonly lines: readonly string[]
    }
  | {
      readonly type: 'exit'
      readonly id: number
      readonly code: number | null
      readonly signal: string | null
      readonly timedOut: boolean
    }
  /** It could not be started at all. */
  | { readonly type: 'failed'; readonly id: number; readonly message: string }
