// Pools of workers as their keeper told of them last.

import { VarveError } from '../../base/errors.ts'
import type { PoolStatus } from '../../model/pool-status.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { missing, pageByName, requireProject } from '../find.ts'
import { NOT_REPORTED } from '../hindrances.ts'

type PoolRoutes = Pick<
  Handlers,
  | 'GET /projects/:project/pools'
  | 'GET /projects/:project/pools/:pool'
  | 'GET /projects/:project/pools/:pool/demand'
>

export function poolHandlers({ versions, pools }: Context): PoolRoutes {
  /** Those that work for the project; one without a project works for all. */
  async function ofProject(project: string): Promise<PoolStatus[]> {
    await requireProject(versions, project)
    return (pools?.all() ?? []).filter((one) => one.project === project || one.project === '')
  }

  async function find(project: string, name: string): Promise<PoolStatus> {
    const all = await ofProject(project)
    const found = all.find((one) => one.pool === name)
    if (found) return found
    if (pools && !pools.reported) throw unreported(name)
    const names = all.map((one) => one.pool)
    throw missing('NOT_FOUND_POOL', 'pool', name, names)
  }

  return {
    'GET /projects/:project/pools': async ({ params: { project }, query }) => {
      const all = await ofProject(project)
      return pageByName(
        (async function* () {
          yield* all
        })(),
        query,
        (one) => one.pool,
        (one) => one,
      )
    },

    'GET /projects/:project/pools/:pool': ({ params: { project, pool } }) => find(project, pool),

    'GET /projects/:project/pools/:pool/demand': async ({ params: { project, pool } }) => {
      const { state, wanted, running, replicas } = await find(project, pool)
      // An old number would be scaled to; a refusal leaves things as they are.
      if (state === 'unknown') throw unreported(pool)
      return { pool, wanted, running, replicas }
    },
  }
}

function unreported(pool: string): VarveError {
  return new VarveError('UNAVAILABLE', `cannot tell of pool "${pool}": ${NOT_REPORTED.cause}`)
}
