// Very many files of 1 KB from a folder into a server, as its user would do it: `varve file put -r` over
// HTTP until the commit is acknowledged. Beside it the same folder into a tar file and fsync, and borg,
// restic and git.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { borgCreate, borgInit, resticBackup, resticInit } from './backup.ts'
import type { Bench, Metric } from './bench.ts'
import { median, memory, metric } from './bench.ts'
import type { Cost } from './cost.ts'
import { runCommand, runJob } from './cost.ts'
import { bytesBelow, settleDisk, withFolder, writeSmallFiles } from './disk.ts'
import { git } from './git.ts'
import { peers } from './peers.ts'
import { putByCli } from './served.ts'
import type { Put } from './served.ts'
import { PER_DIR, SMALL_BYTES } from './trees.ts'

const serve = (put: Put): Promise<Cost> => putByCli(put, '-r')

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
      await rm(source, { recursive: true })
      await writeSmallFiles(source, files, files, SMALL_BYTES)
      await take('flat', async () => {
        const served = await runJob<Cost>('small-files', 'serve', { source, folder: into })
        return { ...served.cost, wallMs: served.result.wallMs }
      })
      const seconds = (name: string): number =>
        median((all.get(name) ?? []).map(({ wallMs }) => wallMs)) / 1000
      const ours = all.get('varve') ?? []
      const cpuUs = (costs: readonly Cost[]): number =>
        (median(costs.map(({ cpuMs }) => cpuMs)) * 1000) / files
      const peak = (name: string): number =>
        Math.max(...(all.get(name) ?? []).map(({ peakBytes }) => peakBytes))
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
        memory('memory of the server', peak('varve')),
        memory('memory of the server: all in one directory', peak('flat')),
        metric('all in one directory', seconds('flat'), 's'),
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
