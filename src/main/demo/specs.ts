import { join } from 'node:path'

export interface DemoPaths {
  /** The folder the server's metrics are written to. */
  readonly metrics: string
  /** The file alerts are delivered to. */
  readonly alerts: string
}

/** The demo's documents, in the words a person would put into a file for `varve apply -f`. */
export function demoSpecs(paths: DemoPaths): string {
  const quote = JSON.stringify
  const script = (name: string): string => quote(join(import.meta.dirname, name))
  return `spout: {name: metrics}
source:
  file: {path: ${quote(paths.metrics)}}
target: metrics@master
commit: {age: 2s}
---
pipeline: {name: summary}
description: one line for each stretch of metrics, with the worst of it
input:
  pfs: {repo: metrics, glob: "/*/*"}
transform:
  cmd: [sh, ${script('summary.sh')}]
---
pipeline: {name: alerts}
description: says of each summary whether the server was calm or busy
input:
  pfs: {repo: summary, glob: "/*/*"}
transform:
  cmd: [sh, ${script('alerts.sh')}]
---
egress: {name: alerts-file}
from: alerts@master
sink:
  file: {path: ${quote(paths.alerts)}}
`
}
