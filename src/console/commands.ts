// The commands that show more of a node than the page does.

import type { GraphNode, RecentJob } from '../api/graph.ts'
import { DEFAULT_PROJECT } from '../model/name.ts'

/** Most telling first. `jobs` are the node's own, newest first. */
export function commandsFor(
  node: Pick<GraphNode, 'kind' | 'name' | 'cause' | 'pods'>,
  jobs: readonly Pick<RecentJob, 'id' | 'state'>[],
  project: string,
): readonly string[] {
  const flag = project === DEFAULT_PROJECT ? '' : ` --project ${project}`
  const lines: string[] = []
  switch (node.kind) {
    case 'feed':
      lines.push(`varve spout status ${node.name}`)
      break
    case 'egress':
      lines.push(`varve egress status ${node.name}`)
      break
    case 'repo':
      lines.push(`varve commit list ${node.name}`)
      break
    case 'pipeline': {
      if (node.cause && node.pods?.pool) lines.push(`varve pool inspect ${node.pods.pool}`)
      const failed = jobs.find((job) => job.state === 'failed')
      if (failed) lines.push(`varve datum list ${node.name}@${failed.id}`)
      lines.push(`varve logs ${node.name}`, `varve pipeline inspect ${node.name}`)
      break
    }
  }
  return lines.map((line) => line + flag)
}
