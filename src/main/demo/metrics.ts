import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { appendFile, mkdir } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const INTERVAL_MS = 250
// A file for each stretch of time keeps the folders small in which its pieces lie, however long it runs.
const FILE_MS = 300_000

/**
 * The demo's feed: what this very process is doing, a JSON line every 250 ms. Real data without a
 * network: load the server and the numbers move. Files of five minutes, named by when they begin.
 */
export async function writeMetrics(folder: string, signal: AbortSignal): Promise<void> {
  await mkdir(folder, { recursive: true })
  const lag = monitorEventLoopDelay({ resolution: 10 })
  lag.enable()
  let cpu = process.cpuUsage()
  let at = performance.now()
  let requests = 0
  const count = (): void => void requests++
  subscribe('varve:http.request', count)
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS))
    const used = process.cpuUsage(cpu)
    const tookMs = performance.now() - at
    cpu = process.cpuUsage()
    at = performance.now()
    const line = `${JSON.stringify({
      at: new Date().toISOString(),
      loop_lag_ms: Number((lag.max / 1e6).toFixed(1)),
      memory_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
      cpu_percent: Math.round((used.user + used.system) / 10 / tookMs),
      load: Number((loadavg()[0] ?? 0).toFixed(2)),
      requests,
    })}\n`
    requests = 0
    lag.reset()
    const begins = new Date(Math.floor(Date.now() / FILE_MS) * FILE_MS).toISOString()
    await appendFile(join(folder, `${begins.slice(0, 16).replace(':', '-')}.ndjson`), line)
  }
  unsubscribe('varve:http.request', count)
  lag.disable()
}
