import { openapi } from '../../api/openapi.ts'
import type { Handlers } from '../call.ts'

type Meta = Pick<
  Handlers,
  'GET /version' | 'GET /openapi.json' | 'GET /livez' | 'GET /readyz' | 'GET /metrics'
>

export interface MetaOptions {
  readonly version: string
  /** Throws what keeps the process from reacting. */
  readonly live?: (() => void) | undefined
  /** Throws what is in the way of serving. */
  readonly ready?: (() => void) | undefined
  /** The text of /metrics. */
  readonly metrics?: (() => Promise<string>) | undefined
}

export function metaHandlers({ version, live, ready, metrics }: MetaOptions): Meta {
  return {
    'GET /version': async () => ({ version, node: process.versions.node, features: [] }),
    'GET /openapi.json': async () => openapi(version),
    'GET /livez': async () => {
      live?.()
      return { status: 'ok' }
    },
    'GET /readyz': async () => {
      ready?.()
      return { status: 'ok' }
    },
    'GET /metrics': async () => (await metrics?.()) ?? '',
  }
}
