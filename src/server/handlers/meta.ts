import { openapi } from '../../api/openapi.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'

type Meta = Pick<
  Handlers,
  'GET /version' | 'GET /openapi.json' | 'GET /livez' | 'GET /readyz' | 'GET /metrics'
>

export function metaHandlers({ version, ready, metrics }: Context): Meta {
  return {
    'GET /version': async () => ({ version, node: process.versions.node, features: [] }),
    'GET /openapi.json': async () => openapi(version),
    'GET /livez': async () => ({ status: 'ok' }),
    'GET /readyz': async () => {
      await ready?.()
      return { status: 'ok' }
    },
    'GET /metrics': async () => (await metrics?.()) ?? '',
  }
}
