// What went wrong beside anybody's request. Rooms publish it; only observe/ knows loggers.

import { channel } from 'node:diagnostics_channel'

const troubles = channel('varve.pipelines.trouble')

export interface Trouble {
  /** What was being done, with names. */
  readonly doing: string
  readonly error: unknown
}

export function trouble(doing: string, error: unknown): void {
  troubles.publish({ doing, error } satisfies Trouble)
}
