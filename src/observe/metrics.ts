// Metrics in the text format of Prometheus: base units, bounded labels. Names of projects, pipelines
// and streams are labels; ids of commits, jobs and datums never are.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { Fact } from '../model/ops.ts'

/** Values of one label before the rest is counted as `other`: a scrape must stay small. */
const MAX_NAMES = 500

/** Counters of what rooms say on their channels; the labels are few by nature. */
const SAID: Readonly<Record<string, { readonly name: string; readonly help: string }>> = {
  'varve:log:anomaly': { name: 'varve_log_anomalies_total', help: 'Surprises of the log, handled' },
  'varve:log:takeover': { name: 'varve_log_takeovers_total', help: 'Projects taken over to write' },
  'varve:log:stopped': { name: 'varve_log_stopped_total', help: 'Lanes that could not go on' },
  'varve:bus:lost': { name: 'varve_bus_lost_total', help: 'Times the bus was away' },
  'varve:bus:anomaly': { name: 'varve_bus_anomalies_total', help: 'Surprises of the bus, handled' },
  'varve:tables:unknown': {
    name: 'varve_tables_unknown_total',
    help: 'Conditional writes whose outcome was not known at once',
  },
  'varve:dependency:away': { name: 'varve_dependency_lost_total', help: 'Times it went away' },
}

export interface DependencySample {
  readonly name: string
  readonly up: boolean
  readonly latencyMs: number | null
}

interface Entry {
  readonly decision: { readonly yes: readonly Fact[] } | { readonly no: { readonly code: string } }
}

export class Metrics {
  readonly #registry = new Registry()
  readonly #names = new Map<string, Set<string>>()
  readonly #egressSeen = new Map<string, number>()
  readonly #lag = monitorEventLoopDelay({ resolution: 20 })
  readonly #stop: (() => void)[] = []

  readonly #commits = this.#counter('varve_commits_total', 'Commits that ended', [
    'project',
    'origin',
    'state',
  ])
  readonly #jobs = this.#counter('varve_jobs_total', 'Jobs that ended', [
    'project',
    'pipeline',
    'state',
  ])
  readonly #datums = this.#counter('varve_datums_total', 'Datums of ended jobs', [
    'project',
    'pipeline',
    'state',
  ])
  readonly #rejections = this.#counter('varve_rejections_total', 'Proposals decided no', [
    'project',
    'code',
  ])
  readonly #egress = this.#counter('varve_egress_records_total', 'Records delivered', [
    'project',
    'egress',
  ])
  readonly #appended = this.#counter('varve_log_entries_total', 'Entries appended here', [
    'project',
  ])
  readonly #requests: Histogram<'method' | 'route' | 'status'>

  constructor(process: { readonly version?: string; readonly roles?: readonly string[] } = {}) {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    const { version = '', roles = ['embedded'] } = process
    new Gauge({
      name: 'varve_process_info',
      help: 'What this process is: always 1, the words are in the labels',
      labelNames: ['version', 'roles'],
      registers,
    }).set({ version, roles: roles.join(',') }, 1)
    this.#requests = new Histogram({
      name: 'varve_http_request_seconds',
      help: 'HTTP requests, from the first byte to the last',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
      registers,
    })
    const lag = this.#lag
    lag.enable()
    new Gauge({
      name: 'varve_event_loop_lag_seconds',
      help: 'Longest time this process could not react since the last scrape',
      registers,
      collect() {
        this.set(lag.max / 1e9)
        lag.reset()
      },
    })
    this.#listen('varve:http.request', (said) =>
      this.#requests.observe(
        {
          method: String(said['method']),
          route: String(said['route']),
          status: String(said['status']),
        },
        Number(said['durationMs']) / 1000,
      ),
    )
    this.#listen('varve:log:appended', (said) =>
      this.#appended.inc(
        { project: this.#bounded('project', String(said['project'])) },
        Number(said['entries']),
      ),
    )
    const blob = new Histogram({
      name: 'varve_blob_request_seconds',
      help: 'Requests to the store, each try by itself',
      labelNames: ['name', 'outcome'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
      registers,
    })
    this.#listen('varve:s3:request', ({ name, outcome, durationMs }) =>
      blob.observe({ name: String(name), outcome: String(outcome) }, Number(durationMs) / 1_000),
    )
    const published = this.#counter('varve_events_published_total', 'Public events published', [
      'project',
    ])
    this.#listen('varve:events:published', ({ project, events }) =>
      published.inc({ project: this.#bounded('project', String(project)) }, Number(events)),
    )
    const waits = this.#counter(
      'varve_events_retries_total',
      'Publishing put off, to try again',
      [],
    )
    this.#listen('varve:events:waiting', () => waits.inc())
    for (const [channel, { name, help }] of Object.entries(SAID)) {
      const counter = this.#counter(name, help, ['what'])
      this.#listen(channel, ({ what, because }) => {
        const word = [what, because].find((one) => typeof one === 'string') ?? ''
        counter.inc({ what: this.#bounded(channel, word as string) })
      })
    }
  }

  /** A value that is asked for at each scrape. */
  gauge(name: string, help: string, read: () => number): void {
    const collect = function (this: Gauge): void {
      this.set(read())
    }
    new Gauge({ name, help, registers: [this.#registry], collect })
  }

  /** Whether what the process needs was seen lately, and how fast it last answered. */
  dependencies(read: () => readonly DependencySample[]): void {
    const of = (
      name: string,
      help: string,
      value: (one: DependencySample) => number | null,
    ): void => {
      const collect = function (this: Gauge<'dependency'>): void {
        for (const one of read()) {
          const now = value(one)
          if (now !== null) this.set({ dependency: one.name }, now)
        }
      }
      const registers = [this.#registry]
      new Gauge({ name, help, labelNames: ['dependency'], registers, collect })
    }
    of('varve_dependency_up', 'Whether it answered lately: 1 or 0', (one) => (one.up ? 1 : 0))
    of('varve_dependency_probe_seconds', 'How long its last good answer took', ({ latencyMs }) =>
      latencyMs === null ? null : latencyMs / 1_000,
    )
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  #listen(name: string, take: (said: Readonly<Record<string, unknown>>) => void): void {
    const listener = (said: unknown): void => take(said as Readonly<Record<string, unknown>>)
    subscribe(name, listener)
    this.#stop.push(() => unsubscribe(name, listener))
  }

  #bounded(label: string, value: string): string {
    const names = this.#names.get(label) ?? new Set()
    this.#names.set(label, names)
    if (names.size < MAX_NAMES) names.add(value)
    return names.has(value) ? value : 'other'
  }

  /** Counts what an entry says; give it every entry once, in order. */
  entry(projectName: string, entry: Entry): void {
    const project = this.#bounded('project', projectName)
    if ('no' in entry.decision)
      return this.#rejections.inc({ project, code: entry.decision.no.code })
    for (const fact of entry.decision.yes) this.#fact(project, fact)
  }

  #fact(project: string, fact: Fact): void {
    if (fact.f === 'commit.finished' || fact.f === 'commit.failed') {
      const { origin, state } = fact.commit
      this.#commits.inc({ project, origin, state })
    } else if (fact.f === 'job.finished') {
      const { counts, state } = fact.job
      const pipeline = this.#bounded('pipeline', fact.job.pipeline)
      this.#jobs.inc({ project, pipeline, state })
      if (!counts) return
      const { ran, failed, recovered, reused } = counts
      const states = { success: ran - failed - recovered, failed, recovered, skipped: reused }
      for (const [word, n] of Object.entries(states))
        this.#datums.inc({ project, pipeline, state: word }, Math.max(0, n))
    } else if (fact.f === 'egress.delivered') {
      const { name, deliveredRecords } = fact.egress
      // The fact carries the sum, which outlives processes; so does this counter.
      const key = `${project}/${name}`
      const before = this.#egressSeen.get(key) ?? 0
      this.#egressSeen.set(key, deliveredRecords)
      const egress = this.#bounded('egress', name)
      this.#egress.inc({ project, egress }, Math.max(0, deliveredRecords - before))
    }
  }

  /** The text of /metrics. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  close(): void {
    for (const stop of this.#stop) stop()
    this.#lag.disable()
  }
}
