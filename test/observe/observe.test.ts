import { channel } from 'node:diagnostics_channel'
import { expect, test } from 'vitest'
import type { Commit, Egress, Job } from '../../src/model/entities.ts'
import { Metrics } from '../../src/observe/metrics.ts'
import { startLogging } from '../../src/observe/logging.ts'

test('entries and requests are counted under bounded labels, and no id is ever one', async () => {
  const metrics = new Metrics()
  const id = '0192'.repeat(8)
  const commit = { repo: 'r', branch: 'b', id, origin: 'user', state: 'finished' }
  const counts = { total: 10, ran: 4, reused: 6, failed: 1, recovered: 1, codeChanged: 0 }
  metrics.entry('default', {
    decision: {
      yes: [
        { f: 'commit.finished', commit: commit as Commit },
        { f: 'job.finished', job: { pipeline: 'p', state: 'finished', counts } as Job },
        { f: 'egress.delivered', egress: { name: 'e', deliveredRecords: 5 } as Egress },
        { f: 'egress.delivered', egress: { name: 'e', deliveredRecords: 12 } as Egress },
      ],
    },
  })
  metrics.entry('default', { decision: { no: { code: 'CYCLE' } } })
  channel('varve:http.request').publish({
    method: 'GET',
    route: '/api/v1/version',
    status: 200,
    durationMs: 12,
  })
  const text = await metrics.text()
  for (const line of [
    'varve_commits_total{project="default",origin="user",state="finished"} 1',
    'varve_datums_total{project="default",pipeline="p",state="success"} 2',
    'varve_datums_total{project="default",pipeline="p",state="skipped"} 6',
    'varve_egress_records_total{project="default",egress="e"} 12',
    'varve_rejections_total{project="default",code="CYCLE"} 1',
    'varve_http_request_seconds_count{method="GET",route="/api/v1/version",status="200"} 1',
    'varve_event_loop_lag_seconds ',
  ])
    expect(text).toContain(line)
  expect(text).not.toContain(id)
  for (let i = 0; i < 2000; i++) metrics.entry(`p${i}`, { decision: { no: { code: 'CYCLE' } } })
  const many = (await metrics.text()).match(/^varve_rejections_total\{/gm) ?? []
  expect(many.length).toBeLessThan(600)
  metrics.close()
})

test('channels become lines, quiet ones none, and a token is never written', () => {
  const lines: string[] = []
  const logging = startLogging({
    level: 'info',
    destination: { write: (line) => void lines.push(line) },
  })
  channel('varve:log:takeover').publish({ project: 'default', seq: 3, token: 'hush' })
  channel('varve:http.request').publish({ method: 'GET', status: 200 })
  channel('varve.pipelines.trouble').publish({ doing: 'planning "p"', error: new Error('why') })
  logging.close()
  channel('varve:log:takeover').publish({ project: 'default', seq: 4 })
  const said = lines.map((line) => JSON.parse(line) as { level: string; msg: string })
  expect(said).toMatchObject([
    { level: 'info', msg: 'log lane taken over', seq: 3 },
    { level: 'warn', msg: 'trouble while planning "p"', error: expect.stringContaining('why') },
  ])
  expect(lines.join('')).not.toContain('hush')
})

test('what a process is, what it needs and what surprised it can be scraped', async () => {
  const metrics = new Metrics({ version: '1.2.3', roles: ['log', 'api'] })
  let held = 2
  metrics.gauge('varve_leases_held', 'Leases', () => held)
  metrics.dependencies(() => [
    { name: 'Kafka', up: false, latencyMs: null },
    { name: 'Cassandra', up: true, latencyMs: 4 },
  ])
  channel('varve:log:anomaly').publish({ project: 'p', what: 'odd' })
  channel('varve:tables:unknown').publish({ what: 'log' })
  channel('varve:s3:request').publish({ name: 'GetObject', outcome: 'ok', durationMs: 30 })
  channel('varve:events:published').publish({ project: 'p', events: 7, seq: 3 })
  channel('varve:events:waiting').publish({ project: 'p', cause: 'why' })
  channel('varve:bus:lost').publish({ what: 'listening', error: new Error('why') })
  held = 3
  const text = await metrics.text()
  for (const line of [
    'varve_process_info{version="1.2.3",roles="log,api"} 1',
    'varve_leases_held 3',
    'varve_dependency_up{dependency="Kafka"} 0',
    'varve_dependency_up{dependency="Cassandra"} 1',
    'varve_dependency_probe_seconds{dependency="Cassandra"} 0.004',
    'varve_log_anomalies_total{what="odd"} 1',
    'varve_tables_unknown_total{what="log"} 1',
    'varve_blob_request_seconds_bucket{le="0.025",name="GetObject",outcome="ok"} 0',
    'varve_blob_request_seconds_bucket{le="0.05",name="GetObject",outcome="ok"} 1',
    'varve_events_published_total{project="p"} 7',
    'varve_events_retries_total 1',
    'varve_bus_lost_total{what="listening"} 1',
  ])
    expect(text).toContain(line)
  expect(text).not.toContain('varve_dependency_probe_seconds{dependency="Kafka"}')
  metrics.close()
})

test('what is away is one line when it goes and one when it is back; repetitions are detail', () => {
  const lines: string[] = []
  const logging = startLogging({
    level: 'info',
    destination: { write: (line) => void lines.push(line) },
  })
  for (let round = 0; round < 2; round++) {
    for (const what of ['listening', 'publishing', 'taking part'])
      channel('varve:bus:lost').publish({ what, error: new Error('no broker') })
    for (const project of ['a', 'b', 'c'])
      channel('varve:events:waiting').publish({ project, cause: 'no broker' })
    for (const what of ['publishing', 'listening', 'taking part'])
      channel('varve:bus:back').publish({ what, afterMs: 10 })
  }
  for (let n = 0; n < 64; n++)
    channel('varve:bus:anomaly').publish({ what: 'messages are gone', partition: n })
  channel('varve:kafka').publish({ level: 'error', text: 'a rebalance is under way' })
  logging.close()
  const said = lines.map((line) => JSON.parse(line) as { level: string; msg: string })
  expect(said.map(({ level, msg }) => `${level} ${msg}`)).toEqual([
    'warn the bus is away',
    'warn public events wait',
    'info the bus is back',
    'warn the bus is away',
    'info the bus is back',
    'warn bus anomaly handled',
  ])
})
