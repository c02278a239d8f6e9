// What user code finds in its environment: Pachyderm's names, kept so that existing code runs as it
// is, each with a twin of our own, and the pipeline's own variables over them.

import type { Claim } from '../api/worker.ts'
import type { PlannedDatum } from '../model/datum.ts'

/**
 * @param pfs where the code finds its files: `/pfs`, or a folder it learns from PFS_ROOT
 * @param server where code that writes over the API finds it
 */
export function environmentOf(
  claim: Claim,
  datum: PlannedDatum,
  pfs: { readonly root: string; readonly mounted: boolean },
  server?: string,
): Record<string, string> {
  const env: Record<string, string> = {
    PACH_IN_WORKER: 'true',
    PACH_JOB_ID: claim.job,
    PACH_OUTPUT_COMMIT_ID: claim.job,
    PACH_DATUM_ID: datum.id,
    PPS_PIPELINE_NAME: claim.pipeline,
    PPS_PROJECT_NAME: claim.project,
    VARVE_IN_WORKER: 'true',
    VARVE_JOB_ID: claim.job,
    VARVE_OUTPUT_COMMIT_ID: claim.job,
    VARVE_DATUM_ID: datum.id,
    VARVE_PIPELINE_NAME: claim.pipeline,
    VARVE_PROJECT_NAME: claim.project,
  }
  for (const piece of datum.inputs) {
    const input = claim.inputs.find((each) => each.name === piece.name)
    const path = piece.path === '' ? '' : `/${piece.path}`
    env[piece.name] = `${pfs.root}/${piece.name}${path}`
    if (input) env[`${piece.name}_COMMIT`] = input.commit
  }
  if (claim.writes && server !== undefined) {
    const { token, repo, branch } = claim.writes
    Object.assign(env, {
      VARVE_SERVER: server,
      VARVE_TOKEN: token,
      VARVE_REPO: repo,
      VARVE_BRANCH: branch,
    })
  }
  Object.assign(env, claim.spec.transform.env)
  // Where the files are is not the pipeline's to say.
  if (!pfs.mounted) env['PFS_ROOT'] = pfs.root
  return env
}
