// The token a spout's code has in VARVE_TOKEN. It is made with a claim and is worth what the claim is:
//
//   sealed   which claim, and the one branch it may write; any server of the cluster knows it again,
//            also after a restart
//   stands   only while that very claim does: code that lost its chunk, or was stopped, can write no
//            more. Asked again every two seconds at most, and while a body is being sent
//
// What it opens is in spout-scope.ts. It is shown as `Authorization: Bearer`, nowhere else.

import type { Route } from '../api/route.ts'
import type { Claim } from '../api/worker.ts'
import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { Guest } from './guard.ts'
import { deriveKey, seal, unseal } from './sealed.ts'
import { withinScope } from './spout-scope.ts'
import type { Asked, SpoutScope } from './spout-scope.ts'
import type { ClaimName } from './worker-claims.ts'

interface Grant extends ClaimName, SpoutScope {}

const PREFIX = 'vs1.'
const CHECK_MS = 2_000
/** So many are forgotten at once, when there are more. */
const MAX_BELIEVED = 1_000

/** Whether it looks like one; only `admit` says whether it is. */
export function isSpoutToken(text: string): boolean {
  return text.startsWith(PREFIX)
}

export class SpoutTokens {
  readonly #key: Uint8Array
  readonly #clock: Clock
  readonly #holds: (claim: ClaimName) => Promise<boolean>
  readonly #believed = new Map<
    string,
    { readonly askedMs: number; readonly stands: Promise<boolean> }
  >()

  /**
   * @param options.secret the cluster's, at least 32 characters
   * @param options.holds whether a claim stands
   */
  constructor(options: {
    readonly secret: string
    readonly clock: Clock
    readonly holds: (claim: ClaimName) => Promise<boolean>
  }) {
    this.#key = deriveKey(options.secret, 'varve spout token v1')
    this.#clock = options.clock
    this.#holds = options.holds
  }

  /** What the code of this claim may write; undefined: it is no spout's. */
  writesOf(claim: Claim): Claim['writes'] {
    if (!claim.spec.spout) return undefined
    const { project, pipeline, job, n, worker, token } = claim
    // Its jobs are on a branch beside: claim.outputBranch.
    const to = { repo: pipeline, branch: claim.spec.outputBranch }
    const grant: Grant = { project, pipeline, job, n, worker, token, ...to }
    return { token: PREFIX + seal(this.#key, grant), ...to }
  }

  /** @throws VarveError UNAUTHENTICATED; FORBIDDEN when the token is not for this */
  async admit(token: string, route: Route, asked: Asked): Promise<Guest> {
    const grant = unseal(this.#key, token.slice(PREFIX.length)) as Grant | undefined
    if (!grant)
      throw new VarveError(
        'UNAUTHENTICATED',
        'cannot let the spout in: its token is not one of this cluster',
      )
    const stays = (): Promise<void> => this.#refuseFallen(token, grant)
    await stays()
    return {
      principal: `spout:${grant.project}/${grant.pipeline}`,
      params: withinScope(route, asked, grant),
      stays,
    }
  }

  async #refuseFallen(token: string, grant: Grant): Promise<void> {
    if (await this.#stands(token, grant)) return
    throw new VarveError(
      'UNAUTHENTICATED',
      `cannot let the spout "${grant.pipeline}" in: the run its token was made for has ended, or another worker has it by now; code that is started again finds a new one in VARVE_TOKEN`,
    )
  }

  #stands(token: string, grant: Grant): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#believed.get(token)
    if (known && nowMs - known.askedMs <= CHECK_MS) return known.stands
    if (this.#believed.size >= MAX_BELIEVED) this.#believed.clear()
    const { project, pipeline, job, n, worker, token: lease } = grant
    const stands = this.#holds({ project, pipeline, job, n, worker, token: lease })
    this.#believed.set(token, { askedMs: nowMs, stands })
    stands.catch(() => this.#believed.delete(token))
    return stands
  }
}
