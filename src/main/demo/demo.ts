import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Embedded } from '../embedded.ts'
import { writeMetrics } from './metrics.ts'
import { demoSpecs } from './specs.ts'

export interface Demo {
  /** The file that results are delivered to. */
  readonly alerts: string
  /** Resolves when it holds its first line. */
  readonly firstRecord: Promise<void>
}

/** Puts the demo's documents, as a person would over the API, and feeds it until the signal. */
export async function startDemo(varve: Embedded, signal: AbortSignal): Promise<Demo> {
  const folder = join(varve.data, 'demo')
  const paths = { metrics: join(folder, 'metrics'), alerts: join(folder, 'alerts.ndjson') }
  // A feed that stops only stops the demo; the server goes on.
  void writeMetrics(paths.metrics, signal).catch(() => {})
  const answer = await fetch(`${varve.url}/api/v1/projects/default/apply`, {
    method: 'POST',
    headers: { authorization: `Bearer ${varve.token}`, 'content-type': 'application/yaml' },
    body: demoSpecs(paths),
  })
  if (!answer.ok) throw new Error(`cannot start the demo: ${await answer.text()}`)
  await answer.text()
  return { alerts: paths.alerts, firstRecord: filled(paths.alerts, signal) }
}

async function filled(file: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    )
    if (size > 0) return
    await sleep(20)
  }
}
