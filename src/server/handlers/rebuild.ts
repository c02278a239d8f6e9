import type { RebuildView } from '../../api/rebuild.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { requireProject } from '../find.ts'

type Rebuild = Pick<Handlers, 'POST /projects/:project/rebuild'>

/** A line for what is new, not for each thousand entries: at most so many a second. */
const EVERY_MS = 500

export function rebuildHandlers({ versions, clock }: Context): Rebuild {
  return {
    'POST /projects/:project/rebuild': async function* ({
      params: { project },
      query,
      request,
      signal,
    }): AsyncGenerator<RebuildView> {
      await requireProject(versions, project)
      let saidMs = -EVERY_MS
      let phase: string | undefined
      for await (const step of versions.rebuild(project, request, query.check ?? false, signal)) {
        const nowMs = clock.monotonicMs()
        if (step.phase === phase && nowMs - saidMs < EVERY_MS) continue
        phase = step.phase
        saidMs = nowMs
        yield step
      }
    },
  }
}
