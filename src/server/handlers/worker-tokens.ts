import { VarveError } from '../../base/errors.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'

const DEFAULT_POOL = 'default'
const DEFAULT_TTL_SECONDS = 30 * 86_400

export function workerTokenHandlers({
  issueWorkerToken,
}: Context): Pick<Handlers, 'POST /worker-tokens'> {
  return {
    'POST /worker-tokens': async ({ body }) => {
      if (!issueWorkerToken)
        throw new VarveError(
          'UNAVAILABLE',
          'cannot make a token for workers: this server has no cluster secret (VARVE_CLUSTER_SECRET)',
        )
      return issueWorkerToken(body.pool ?? DEFAULT_POOL, body.ttlSeconds ?? DEFAULT_TTL_SECONDS)
    },
  }
}
