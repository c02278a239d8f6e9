import type { GcView } from '../../api/gc.ts'
import { VarveError } from '../../base/errors.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'

/** Longer than writers go on with what they know (versions/sessions.ts). */
const WAIT_MS = 120_000

export function gcHandlers({ collectGarbage }: Context): Pick<Handlers, 'POST /gc'> {
  return {
    'POST /gc': async function* ({ query, signal }): AsyncGenerator<GcView> {
      if (!collectGarbage)
        throw new VarveError(
          'MISCONFIGURED',
          'cannot collect: this server does not reach the store',
        )
      const { plan = false, waitMs = WAIT_MS } = query
      yield* collectGarbage({ plan, waitMs }, signal)
    },
  }
}
