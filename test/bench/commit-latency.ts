// How long a commit takes, embedded, until everybody can read it: in process from 64 clients on 64
// branches, each commit with a small file of its own; the same without bytes, to see the log alone;
// over HTTP on one branch. The limit beside it: append 1 KB and fdatasync, as the disk lets one.
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { Embedded } from '../../src/main/embedded.ts'
import { openEmbedded } from '../../src/main/embedded.ts'
import { idSource } from '../../src/model/id.ts'
import { parseFilePath } from '../../src/model/path.ts'
import type { Bench, Metric } from './bench.ts'
import { median, metric, quantile } from './bench.ts'
import { drive } from './drive.ts'
import type { Round } from './drive.ts'

const CLIENTS = 64
const PRINCIPAL = 'bench'
const ids = idSource(systemClock, systemRandom)

async function rawAppend(folder: string, forMs: number): Promise<Round> {
  const file = await open(join(folder, 'raw'), 'a')
  const bytes = new Uint8Array(1024)
  const round = await drive(1, forMs, async () => {
    await file.write(bytes)
    await file.datasync()
  })
  await file.close()
  return round
}

async function filesInProcess(varve: Embedded, forMs: number, round: number): Promise<Round> {
  const repo = `files${round}`
  await varve.versions.propose('default', [{ op: 'repo.create', name: repo }], {
    id: ids(),
    principal: PRINCIPAL,
  })
  return drive(CLIENTS, forMs, (client, n) =>
    varve.versions.commitFiles(
      'default',
      { repo, branch: `b${client}` },
      async (writer) => {
        await writer.put(parseFilePath(`f${n % 100}`), utf8(`${client} ${n}`.padEnd(1000, '.')))
      },
      { id: ids(), principal: PRINCIPAL },
    ),
  )
}

async function logOnly(varve: Embedded, forMs: number, round: number): Promise<Round> {
  const repo = `log${round}`
  await varve.versions.propose('default', [{ op: 'repo.create', name: repo }], {
    id: ids(),
    principal: PRINCIPAL,
  })
  const root = await varve.versions.objects.emptyTree()
  const change = { base: root, runs: [], root, stats: { files: 0, bytes: 0 } }
  return drive(CLIENTS, forMs, (client, n) =>
    varve.versions.propose(
      'default',
      [
        {
          op: 'commit.put',
          branch: { repo, branch: `b${client}` },
          change: n === 0 ? { ...change, base: null } : change,
          note: null,
        },
      ],
      { id: ids(), principal: PRINCIPAL },
    ),
  )
}

async function overHttp(varve: Embedded, forMs: number, round: number): Promise<Round> {
  const repo = `http${round}`
  await varve.versions.propose('default', [{ op: 'repo.create', name: repo }], {
    id: ids(),
    principal: PRINCIPAL,
  })
  const body = '.'.repeat(1000)
  return drive(8, forMs, async (client, n) => {
    const answer = await fetch(
      `${varve.url}/api/v1/projects/default/repos/${repo}/branches/master/file?path=/${client}-${n % 100}`,
      { method: 'PUT', body, headers: { authorization: `Bearer ${varve.token}` } },
    )
    if (!answer.ok) throw new Error(await answer.text())
    await answer.arrayBuffer()
  })
}

export const bench: Bench = {
  name: 'commit-latency',
  what: 'embedded, acknowledged and readable: medians of rounds run in turn',
  async run({ small }) {
    const rounds = small ? 3 : 5
    const forMs = small ? 2_000 : 5_000
    const folder = mkdtempSync(join(tmpdir(), 'varve-bench-'))
    const varve = await openEmbedded({ data: join(folder, 'data'), port: 0 })
    const results: Record<string, Round[]> = { raw: [], files: [], log: [], http: [] }
    try {
      await filesInProcess(varve, 1_000, 1000) // warm
      for (let round = 0; round < rounds; round++) {
        results['raw']?.push(await rawAppend(folder, forMs / 2))
        results['log']?.push(await logOnly(varve, forMs, round))
        results['files']?.push(await filesInProcess(varve, forMs, round))
        results['http']?.push(await overHttp(varve, forMs, round))
      }
    } finally {
      await varve.close()
      rmSync(folder, { recursive: true, force: true })
    }
    const rate = (name: string): number => median((results[name] ?? []).map((r) => r.perSecond))
    const at = (name: string, q: number): number =>
      median((results[name] ?? []).map((r) => quantile(r.latenciesMs, q)))
    const raw = { name: 'append 1 KB + fdatasync', value: rate('raw') }
    const rawMs = { name: raw.name, value: at('raw', 0.5) }
    const metrics: Metric[] = []
    for (const [name, words] of [
      ['log', `${CLIENTS} clients, ${CLIENTS} branches, no bytes`],
      ['files', `${CLIENTS} clients, ${CLIENTS} branches, a 1 KB file each`],
      ['http', '8 clients over HTTP, one branch, a 1 KB file each'],
    ] as const) {
      const goal = name === 'log'
      metrics.push(
        metric(`${words}: commits`, rate(name), '/s', {
          peer: raw,
          ...(goal ? { goal: '≥ 10,000/s', met: rate(name) >= 10_000 } : {}),
        }),
        metric(`${words}: p50`, at(name, 0.5), 'ms', {
          peer: rawMs,
          ...(goal ? { goal: '≤ 3 ms', met: at(name, 0.5) <= 3 } : {}),
        }),
        metric(`${words}: p99`, at(name, 0.99), 'ms'),
      )
    }
    return metrics
  },
}
