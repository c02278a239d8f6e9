// Very many files of 1 KB from a folder into a server, as its user would do it: `varve file put -r` over
// HTTP until the commit is acknowledged. Beside it the same folder into a tar file and fsync, and borg,
// restic and git.

import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openEmbedded } from '../../src/main/embedded.ts'
import { idSource } from '../../src/model/id.ts'
import { borgCreate, borgInit, resticBackup, resticInit } from './backup.ts'
import type { Bench, Metric } from './bench.ts'
import { median, metric } from './bench.ts'
import type { Cost } from './cost.ts'
import { runCommand, runJob } from './cost.ts'
import { bytesBelow, settleDisk, withFolder, writeSmallFiles } from './disk.ts'
import { git } from './git.ts'
import { peers } from './peers.ts'
import { PER_DIR, SMALL_BYTES } from './trees.ts'

const CLI = resolve(import.meta.dirname, '../../src/main/cli.ts')

/** The server; its answer is what the client cost. */
async function serve({ source, folder }: { source: string; folder: string }): Promise<Cost> {
  const varve = await openEmbedded({ data: folder, port: 0, maxUploadBytes: 2 ** 50 })
  const id = idSource(systemClock, systemRandom)()
  await varve.versions.propose('default', [{ op: 'repo.create', name: 'repo' }], {
    id,
    principal: 'bench',
  })
  const put = ['file', 'put', '-r', '-f', source, 'repo@master:/']
  const env = { VARVE_SERVER: varve.url, VARVE_TOKEN: varve.token }
  const cost = await runCommand([process.execPath, CLI, ...put], { env, cwd: folder })
  await varve.close()
  return cost
}

export const bench: Bench = {
  name: 'small-files',
  what: 'files of 1 KB of noise, 1,000 a directory, warm in the page cache: seconds until durable',
  jobs: { serve },
  async run({ small }) {
    const files = small ? 20_000 : 1_000_000
    const rounds = small ? 3 : 1 // a round of a million takes minutes
    return withFolder(files * 10_000, async (folder) => {
      const found = await peers('borg', 'restic', 'git')
      const source = join(folder, 'source')
      await writeSmallFiles(source, files, PER_DIR, SMALL_BYTES)
      await settleDisk()
      const into = join(folder, 'into')
      const tar = (): Promise<Cost> => {
        const script = 'tar -cf "$1" -C "$0" . && sync -- "$1"'
        return runCommand(['sh', '-c', script, source, into])
      }
      const all = new Map<string, Cost[]>()
      let clients: Cost | undefined
      let storedBytes = 0
      const take = async (name: string, work: () => Promise<Cost>): Promise<void> => {
        await settleDisk()
        all.set(name, [...(all.get(name) ?? []), await work()])
        if (name === 'varve') storedBytes = await bytesBelow(join(into, 'blobs'))
        await rm(into, { recursive: true, force: true })
      }
      await take('warm', tar)
      for (let round = 0; round < rounds; round++) {
        await take('tar', tar)
        await take('varve', async () => {
          const served = await runJob<Cost>('small-files', 'serve', { source, folder: into })
          clients = served.result
          return { ...served.cost, wallMs: served.result.wallMs }
        })
      }
      if (found.has('borg'))
        await take('borg', async () => {
          await borgInit(into)
          return borgCreate(into, 'one', source)
        })
      if (found.has('restic'))
        await take('restic', async () => {
          await resticInit(into)
          return resticBackup(into, source)
        })
      if (found.has('git'))
        await take('git', async () => {
          await git(folder, ['init', '-q', '--bare', into])
          const env = { GIT_DIR: into, GIT_WORK_TREE: source, GIT_CONFIG_GLOBAL: '/dev/null' }
          const who = ['-c', 'user.name=bench', '-c', 'user.email=bench@example.com']
          const script = 'git add . && git "$@" commit -q -m bench && sync'
          return runCommand(['sh', '-c', script, 'sh', ...who], { env, cwd: source })
        })
      const seconds = (name: string): number =>
        median((all.get(name) ?? []).map(({ wallMs }) => wallMs)) / 1000
      const ours = all.get('varve') ?? []
      const cpuUs = (costs: readonly Cost[]): number =>
        (median(costs.map(({ cpuMs }) => cpuMs)) * 1000) / files
      const peak = Math.max(...ours.map(({ peakBytes }) => peakBytes))
      const raw = files * SMALL_BYTES
      const varve = seconds('varve')
      const limit = 1.04 * raw + 40e6
      const metrics: Metric[] = [
        metric('varve file put -r', varve, 's', {
          goal: '≤ 3 × tar + fsync',
          met: varve <= 3 * seconds('tar'),
          peer: { name: 'tar + fsync', value: seconds('tar') },
        }),
        metric('stored', storedBytes / 1e6, 'MB', {
          goal: '≤ 1.04 × raw + 40 MB',
          met: storedBytes <= limit,
          peer: { name: 'raw', value: raw / 1e6 },
        }),
        metric('memory of the server', peak / 2 ** 20, 'MiB', {
          goal: '≤ 512 MB',
          met: peak <= 512e6,
        }),
        metric('memory of the client', (clients?.peakBytes ?? NaN) / 2 ** 20, 'MiB'),
        metric('processor time of the server for a file', cpuUs(ours), 'µs', {
          peer: { name: 'tar', value: cpuUs(all.get('tar') ?? []) },
        }),
        metric('processor time of the client for a file', cpuUs(clients ? [clients] : []), 'µs'),
      ]
      for (const name of ['borg', 'restic', 'git'] as const)
        if (all.has(name))
          metrics.push(
            metric(`against ${name}`, varve, 's', { peer: { name, value: seconds(name) } }),
          )
      return metrics
    })
  },
}
