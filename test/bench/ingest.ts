// One large file into a store, from a file in the page cache to durable on disk: the engine alone, the
// whole server over HTTP; beside it cp and fsync, the least there is to do, and borg and restic.

import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parsePath } from '../../src/model/path.ts'
import type { Bench, Metric } from './bench.ts'
import { median, memory, metric } from './bench.ts'
import type { Cost } from './cost.ts'
import { runCommand, runJob } from './cost.ts'
import { bytesBelow, pieces, settleDisk, withFolder, writeNoise } from './disk.ts'
import { engineIn } from './engine.ts'
import { peers } from './peers.ts'
import { openServer, putByCli } from './served.ts'
import type { Put } from './served.ts'
import { borgCreate, borgInit, resticBackup, resticInit } from './backup.ts'

const READ_BYTES = 1024 * 1024
const GIB = 2 ** 30

type Task = Put

async function store({ source, folder }: Task): Promise<string> {
  const { engine } = await engineIn(folder)
  const writer = engine.writer(null)
  await writer.put(parsePath('big'), pieces(source))
  return (await writer.finishOnto(null)).root
}

async function serve({ source, folder }: Task): Promise<Cost> {
  const varve = await openServer(folder)
  const { url, token } = varve
  const { cost } = await runJob('ingest', 'send', { source, url, token })
  await varve.close()
  return cost
}

const put = (task: Task): Promise<Cost> => putByCli(task)

async function send(task: { source: string; url: string; token: string }): Promise<void> {
  const { size } = await stat(task.source)
  const path = '/api/v1/projects/default/repos/repo/branches/master/file?path=/big'
  const put = request(task.url + path, {
    method: 'PUT',
    headers: { authorization: `Bearer ${task.token}`, 'content-length': size },
  })
  const answered = new Promise<number | undefined>((resolve, reject) => {
    put.on('response', (answer) => answer.resume().on('end', () => resolve(answer.statusCode)))
    put.on('error', reject)
  })
  await pipeline(createReadStream(task.source, { highWaterMark: READ_BYTES }), put)
  const status = await answered
  if (status !== 200 && status !== 201) throw new Error(`the server answered ${status}`)
}

export const bench: Bench = {
  name: 'ingest',
  what: 'one file of noise, warm in the page cache, durable at the end; processor time beside it',
  jobs: { store, serve, send, put },
  async run({ small }) {
    const sizeBytes = small ? GIB / 2 : 10 * GIB
    const rounds = small ? 5 : 3
    return withFolder(2.3 * sizeBytes, async (folder) => {
      const found = await peers('borg', 'restic')
      const source = join(folder, 'source')
      await writeNoise(source, sizeBytes, 'ingest')
      const all = new Map<string, Cost[]>()
      let storedBytes = 0
      const take = async (name: string, work: (into: string) => Promise<Cost>): Promise<void> => {
        await settleDisk()
        const into = join(folder, 'into')
        all.set(name, [...(all.get(name) ?? []), await work(into)])
        if (name === 'engine') storedBytes = await bytesBelow(into)
        await rm(into, { recursive: true, force: true })
      }
      const copy = async (into: string): Promise<Cost> => {
        const script = 'cp -- "$0" "$1" && sync -- "$1"'
        return runCommand(['sh', '-c', script, source, into])
      }
      const job = (name: string) => async (into: string) =>
        (await runJob('ingest', name, { source, folder: into })).cost
      await take('warm', copy) // the first writes meet a disk that has not been touched
      for (let round = 0; round < rounds; round++) {
        await take('cp', copy)
        await take('engine', job('store'))
        if (round < 3) await take('http', job('serve'))
        if (round < 3) await take('put', job('put'))
        if (round > 0) continue
        if (found.has('borg'))
          await take('borg', async (into) => {
            await borgInit(into)
            return borgCreate(into, 'one', source)
          })
        if (found.has('restic'))
          await take('restic', async (into) => {
            await resticInit(into)
            return resticBackup(into, source)
          })
      }
      const of = (name: string, value: keyof Cost): number =>
        median((all.get(name) ?? []).map((cost) => cost[value]))
      const seconds = (name: string): number => of(name, 'wallMs') / 1000
      const cpu = (name: string): number => (of(name, 'cpuMs') / 1000) * (GIB / sizeBytes)
      const cp = { name: 'cp + fsync', value: seconds('cp') }
      const ratio = seconds('engine') / cp.value
      const metrics: Metric[] = [
        metric('engine', seconds('engine'), 's', {
          goal: '≤ 1.5 × cp + fsync',
          met: ratio <= 1.5,
          peer: cp,
        }),
      ]
      for (const peer of ['borg', 'restic'] as const)
        if (found.has(peer))
          metrics.push(
            metric(`engine against ${peer}`, seconds('engine'), 's', {
              goal: '≤ 0.5 ×',
              met: seconds('engine') <= 0.5 * seconds(peer),
              peer: { name: peer, value: seconds(peer) },
            }),
          )
      metrics.push(
        memory('engine: memory', of('engine', 'peakBytes')),
        metric('engine: processor time', cpu('engine'), 's/GiB', {
          peer: { name: cp.name, value: cpu('cp') },
        }),
        metric('engine: stored', storedBytes / sizeBytes, '× raw'),
        metric('server over HTTP', seconds('http'), 's', { peer: cp }),
        memory('server over HTTP: memory', of('http', 'peakBytes')),
        metric('varve file put', seconds('put'), 's', { peer: cp }),
        memory('varve file put: the server: memory', of('put', 'peakBytes')),
        metric('server over HTTP: its processor time', cpu('http'), 's/GiB', {
          peer: { name: cp.name, value: cpu('cp') },
        }),
      )
      return metrics
    })
  },
}
