import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { appendFile, mkdir, truncate } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { dirname } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const INTERVAL_MS = 250
// Tailing needs the newest lines only; past this the file starts anew and the spout notices.
const MAX_BYTES = 64 * 2 ** 20

/**
 * The demo's feed: what this very process is doing, a JSON line every 250 ms. Real data without a
 * network: load the server and the numbers move.
 */
export async function writeMetrics(file: string, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const lag = monitorEventLoopDelay({ resolution: 10 })
  lag.enable()
  let cpu = process.cpuUsage()
  let at = performance.now()
  let written = 0
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
    if (written > MAX_BYTES) {
      await truncate(file, 0)
      written = 0
    }
    await appendFile(file, line)
    written += line.length
  }
  unsubscribe('varve:http.request', count)
  lag.disable()
}
