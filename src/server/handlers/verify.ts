import type { FindingView } from '../../api/verify.ts'
import { VarveError } from '../../base/errors.ts'
import { Pace } from '../../base/pace.ts'
import type { NamedRoot } from '../../objects/upkeep/verify.ts'
import { namedRoots } from '../../versions/named-roots.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { requireProject, requireRepo } from '../find.ts'

type Verify = Pick<Handlers, 'GET /verify'>

/** Lines of progress: at most so many a second. */
const EVERY_MS = 500

export function verifyHandlers({ versions, clock, ids, otherRoots }: Context): Verify {
  return {
    'GET /verify': async function* ({ query, signal }): AsyncGenerator<FindingView> {
      const { project, repo, percent = 100, bytesPerSecond } = query
      if (project !== undefined) await requireProject(versions, project)
      if (repo !== undefined) {
        if (project === undefined)
          throw new VarveError(
            'INVALID_OPTION',
            `cannot tell whose repo "${repo}" is: give project`,
          )
        await requireRepo(versions, project, repo)
      }
      // The end of an id is chance.
      const seed = query.seed ?? Number.parseInt(ids().slice(-6), 16)
      const roots = async function* (): AsyncGenerator<NamedRoot> {
        yield* namedRoots(versions, { project, repo })
        if (repo === undefined && otherRoots) yield* otherRoots(project)
      }
      const pace =
        bytesPerSecond === undefined ? undefined : new Pace(clock, bytesPerSecond, signal)
      let saidMs = clock.monotonicMs()
      for await (const finding of versions.objects.verify({
        roots,
        percent,
        seed,
        onlyNeeded: project !== undefined,
        signal,
        ...(pace && { pace: (sizeBytes: number) => pace.spend(sizeBytes) }),
      })) {
        if (finding.kind === 'progress') {
          const nowMs = clock.monotonicMs()
          if (nowMs - saidMs < EVERY_MS) continue
          saidMs = nowMs
        }
        yield finding.kind === 'done' ? { ...finding, seed } : finding
      }
    },
  }
}
