import type { Metrics } from '../observe/metrics.ts'
import { SYSTEM_PROJECT } from '../model/name.ts'
import type { Versions } from '../versions/versions.ts'

/**
 * Counts what is decided from now on, in all projects there are and those to come, until the signal.
 * `ours`: of several processes only one counts a project, so that their sum is right but for a few
 * entries when a project changes hands.
 */
export async function tally(
  versions: Versions,
  metrics: Metrics,
  signal: AbortSignal,
  ours: (project: string) => boolean = () => true,
): Promise<void> {
  const following: Promise<void>[] = []
  const follow = async (project: string): Promise<void> => {
    const from = await versions.watermark(project)
    for await (const entry of versions.follow(project, from, signal)) {
      if (ours(project)) metrics.entry(project, entry)
      if (project !== SYSTEM_PROJECT || !('yes' in entry.decision)) continue
      for (const fact of entry.decision.yes)
        if (fact.f === 'project.created') following.push(follow(fact.project.name))
    }
  }
  const names = new Set([SYSTEM_PROJECT])
  for await (const { name } of versions.projects()) names.add(name)
  for (const name of names) following.push(follow(name))
  for (const one of following) await one // grows while it is walked
}
