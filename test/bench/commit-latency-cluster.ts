// How long a commit takes on Kafka, Cassandra and S3, until everybody can read it: clients in this
// process, as the API role has them, and the log's writer in a process of its own. In one project and
// in eight; without and with a pipeline below. What the servers alone take for its
// parts, `log-append` (a conditional write) and `bus` (a message there and back, twice) measure.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock as clock } from '../../src/base/clock.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import { parseOptions } from '../../src/config/parse.ts'
import { portsOf } from '../../src/main/cluster.ts'
import { openCore } from '../../src/main/core.ts'
import type { Core } from '../../src/main/core.ts'
import { openDependencies } from '../../src/main/dependencies.ts'
import { openWorkspace } from '../../src/main/settings.ts'
import { Cluster, clusterEnv } from '../cluster/cluster.ts'
import type { ClusterOptions } from '../cluster/cluster.ts'
import { shared, stopShared } from '../services/shared.ts'
import { createBucket } from '../services/s3.ts'
import type { Bench, Metric } from './bench.ts'
import { median, metric, quantile } from './bench.ts'
import { drive } from './drive.ts'
import type { Round } from './drive.ts'

const PRINCIPAL = 'bench'

/** Commits without bytes: `clients` of them side by side, each on a branch of its own or all on one. */
async function commits(
  core: Core,
  work: {
    readonly projects: number
    readonly clients: number
    readonly oneBranch?: boolean
    readonly repo: string
    readonly forMs: number
  },
): Promise<Round> {
  const { projects, clients, oneBranch, repo, forMs } = work
  const { versions, ids } = core
  const root = await versions.objects.emptyTree()
  const change = { base: root, runs: [], root, stats: { files: 0, bytes: 0 } }
  const by = (): { id: ReturnType<Core['ids']>; principal: string } => ({
    id: ids(),
    principal: PRINCIPAL,
  })
  for (let p = 0; p < projects; p++)
    await versions
      .propose(projectOf(p), [{ op: 'repo.create', name: repo }], by())
      .catch(() => undefined)
  return drive(clients, forMs, (client, n) =>
    versions.propose(
      projectOf(client % projects),
      [
        {
          op: 'commit.put',
          branch: { repo, branch: oneBranch ? 'master' : `b${client}` },
          change: n === 0 && !oneBranch ? { ...change, base: null } : change,
          note: null,
        },
      ],
      by(),
    ),
  )
}

const projectOf = (n: number): string => (n === 0 ? 'default' : `bench-${n}`)

const PIPELINE = `pipeline: {name: below}
backlog: latest
input:
  pfs: {repo: fed, glob: "/"}
transform:
  cmd: ["true"]
`

export const bench: Bench = {
  name: 'commit-latency --cluster',
  what: 'Kafka, Cassandra and S3 on this machine, one node each; acknowledged and readable: medians',
  async run({ small }) {
    const rounds = small ? 2 : 3
    const forMs = small ? 3_000 : 8_000
    const folder = mkdtempSync(join(tmpdir(), 'varve-bench-'))
    const name = `bench_${process.pid}`
    const options: ClusterOptions = {
      kafka: await shared('kafka'),
      cassandra: await shared('cassandra'),
      s3: await shared('s3'),
      name,
      replication: 1,
      folder,
      secret: 's'.repeat(64),
      token: 't'.repeat(64),
      roles: { api: 1, log: 1, scheduler: 1, spouts: 0, egress: 0, events: 0 },
      workers: 1,
    }
    await createBucket(options.s3, name.replaceAll('_', '-'))
    const cluster = await Cluster.start(options)
    const env = {
      ...clusterEnv(options),
      VARVE_CLUSTER_SECRET: options.secret,
      VARVE_TOKEN: options.token,
    }
    const serve = parseOptions('serve', env, {})
    const start = { clock, random, say: () => {}, signal: new AbortController().signal }
    const dependencies = await openDependencies(serve, start)
    const workspace = await openWorkspace({ tables: dependencies.tables, clock, random })
    const ports = await portsOf(dependencies, workspace.storeKey, serve.clusterSecret)
    const core = await openCore(ports)
    const results = new Map<string, Round[]>()
    const add = async (what: string, round: Promise<Round>): Promise<void> => {
      results.set(what, [...(results.get(what) ?? []), await round])
    }
    const cpuMs: number[] = []
    try {
      for (let p = 1; p < 8; p++)
        await cluster.client.call('POST /projects', { body: { name: projectOf(p) } })
      await commits(core, { projects: 8, clients: 64, repo: 'warm', forMs: 5_000 })
      for (let round = 0; round < rounds; round++) {
        const repo = `r${round}`
        for (const clients of [1, 64, 256, 1024])
          await add(
            `one project, ${clients} clients`,
            commits(core, { projects: 1, clients, repo: `${repo}-${clients}`, forMs }),
          )
        const before = process.cpuUsage()
        await add(
          'eight projects, 1024 clients',
          commits(core, { projects: 8, clients: 1024, repo, forMs }),
        )
        const used = process.cpuUsage(before)
        cpuMs.push((used.user + used.system) / 1000)
      }
      await cluster.client.call('POST /projects/:project/repos', {
        params: { project: 'default' },
        body: { name: 'fed' },
      })
      const applied = await cluster.cli(['apply', '-f', '-'], PIPELINE)
      if (applied.code !== 0) throw new Error(applied.stderr)
      for (let round = 0; round < rounds; round++)
        await add(
          'one branch with a pipeline below, 64 clients',
          commits(core, { projects: 1, clients: 64, oneBranch: true, repo: 'fed', forMs }),
        )
    } finally {
      await core.close()
      await dependencies.close()
      await cluster.kill()
      await stopShared()
      rmSync(folder, { recursive: true, force: true })
    }
    return [...results].flatMap(([what, all]): Metric[] => {
      const rate = median(all.map((one) => one.perSecond))
      const at = (q: number): number => median(all.map((one) => quantile(one.latenciesMs, q)))
      const one = what === 'one project, 1 clients'
      const most = what === 'one project, 1024 clients'
      return [
        metric(
          `${what}: commits`,
          rate,
          '/s',
          most ? { goal: '≥ 4,000/s', met: rate >= 4_000 } : {},
        ),
        metric(`${what}: p50`, at(0.5), 'ms', one ? { goal: '≤ 20 ms', met: at(0.5) <= 20 } : {}),
        metric(
          `${what}: p99`,
          at(0.99),
          'ms',
          one ? { goal: '≤ 100 ms', met: at(0.99) <= 100 } : {},
        ),
      ]
    })
  },
}
