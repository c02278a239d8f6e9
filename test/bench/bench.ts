// What every benchmark shares: figures with their peer from the same run, medians, one way to print.
import { cpus, loadavg, totalmem } from 'node:os'

export interface Metric {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** What we aim at, in words (`≤ 3 ms`), and whether it was met; null: reported only. */
  readonly goal: string | null
  readonly met: boolean | null
  /** The peer or limit measured in the same run, and value ÷ peer. */
  readonly peer: { readonly name: string; readonly value: number } | null
}

export interface Bench {
  readonly name: string
  readonly what: string
  /** `small`: the same work at a size that ends within a minute. */
  run(options: {
    readonly small: boolean
    readonly args: readonly string[]
  }): Promise<readonly Metric[]>
  /** What it runs in processes of their own: `runJob` of cost.ts. */
  readonly jobs?: Readonly<Record<string, (args: never) => Promise<unknown>>>
}

export function metric(
  name: string,
  value: number,
  unit: string,
  more: { goal?: string; met?: boolean; peer?: { name: string; value: number } } = {},
): Metric {
  return {
    name,
    value,
    unit,
    goal: more.goal ?? null,
    met: more.met ?? null,
    peer: more.peer ?? null,
  }
}

/** What a process may hold of memory, whatever comes. */
const MOST_MEMORY_BYTES = 512e6

export function memory(name: string, peakBytes: number): Metric {
  return metric(name, peakBytes / 2 ** 20, 'MiB', {
    goal: '≤ 512 MB',
    met: peakBytes <= MOST_MEMORY_BYTES,
  })
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

export function machine(): Record<string, unknown> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    load1: Number(loadavg()[0]?.toFixed(1)),
  }
}

const digits = (value: number): string =>
  Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)

export function printMetrics(bench: Bench, metrics: readonly Metric[]): void {
  const about = machine()
  console.log(`${bench.name}: ${bench.what}`)
  console.log(
    `on ${about['cores']} cores of ${about['cpu']}, Node ${about['node']}, load ${about['load1']}`,
  )
  const width = Math.max(...metrics.map((m) => m.name.length))
  for (const m of metrics) {
    const parts = [`  ${m.name.padEnd(width)}  ${digits(m.value).padStart(9)} ${m.unit}`]
    if (m.peer)
      parts.push(
        `${(m.value / m.peer.value).toPrecision(3)} × ${m.peer.name} (${digits(m.peer.value)})`,
      )
    if (m.goal) parts.push(`goal ${m.goal}${m.met === null ? '' : m.met ? ': met' : ': missed'}`)
    console.log(parts.join('   '))
  }
}
