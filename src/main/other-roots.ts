// What is kept beside commits, by what people call it: for whoever tells what of it is damaged.

import type { NamedRoot } from '../objects/upkeep/verify.ts'
import { pipelineRoots } from '../pipelines/roots.ts'
import { WorkRows } from '../pipelines/work.ts'
import type { Versions } from '../versions/versions.ts'
import type { Ports } from './core.ts'

/** Of one project, or of all. */
export function otherRootsOf(
  { tables, clock, random }: Ports,
  versions: Versions,
): (project: string | undefined) => AsyncGenerator<NamedRoot> {
  const guests = { versions, tables, rows: new WorkRows({ tables, clock, random }) }
  return async function* (only) {
    for await (const { name: project } of versions.projects()) {
      if (only !== undefined && project !== only) continue
      for await (const root of pipelineRoots(guests, project))
        yield {
          ...root,
          name: `what jobs of project "${project}" keep`,
          async kept() {
            for await (const { ref } of pipelineRoots(guests, project))
              if (ref === root.ref) return true
            return false
          },
        }
      for await (const ref of versions.uploads.roots(project))
        yield { ref, name: `what is uploaded to project "${project}"` }
    }
  }
}
