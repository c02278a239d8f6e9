// One large file out of a store again: from beginning to end beside `cat` of the same bytes, cold (the
// page cache dropped for both) and warm; then 10,000 reads of 4 KiB at random places, each by itself,
// beside the same reads of the raw file.

import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { seededRandom } from '../../src/base/random.ts'
import { parsePath } from '../../src/model/path.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import { borgCreate, borgInit, borgRead, resticBackup, resticDump, resticInit } from './backup.ts'
import type { Bench, Metric } from './bench.ts'
import { median, metric, quantile } from './bench.ts'
import type { Cost } from './cost.ts'
import { runCommand, runJob } from './cost.ts'
import { dropCaches, noise, pieces, settleDisk, withFolder, writeNoise } from './disk.ts'
import { engineIn } from './engine.ts'
import { peers } from './peers.ts'

const GIB = 2 ** 30
const BIG = parsePath('big')
const RANDOM_BYTES = 4096
const RANDOM_READS = 10_000

interface Stored {
  readonly folder: string
  readonly root: TreeRef
  readonly sizeBytes: number
}

async function store({ source, folder }: { source: string; folder: string }): Promise<TreeRef> {
  const { engine } = await engineIn(folder)
  const writer = engine.writer(null)
  await writer.put(BIG, pieces(source))
  return (await writer.finishOnto(null)).root
}

async function sequential({ folder, root, sizeBytes }: Stored): Promise<void> {
  const { engine } = await engineIn(folder)
  let read = 0
  for await (const bytes of engine.read(root, BIG)) read += bytes.length
  if (read !== sizeBytes) throw new Error(`read ${read} of ${sizeBytes} bytes`)
}

/** That what is read is what was written is asked once, outside the clock. */
async function compare({ folder, root, sizeBytes }: Stored): Promise<void> {
  const { engine } = await engineIn(folder)
  const [ours, theirs] = [createHash('sha256'), createHash('sha256')]
  for await (const bytes of engine.read(root, BIG)) ours.update(bytes)
  for (const bytes of noise(sizeBytes, 'read-back')) theirs.update(bytes)
  if (ours.digest('hex') !== theirs.digest('hex')) throw new Error('other bytes came back')
}

interface Latencies {
  readonly first: number
  readonly p50: number
  readonly p99: number
}

async function timeEach(
  sizeBytes: number,
  one: (offset: number) => Promise<number>,
): Promise<Latencies> {
  const random = seededRandom(4)
  const ms: number[] = []
  for (let i = 0; i < RANDOM_READS; i++) {
    const offset = Math.floor(random.next() * (sizeBytes - RANDOM_BYTES))
    const start = performance.now()
    const read = await one(offset)
    ms.push(performance.now() - start)
    if (read !== RANDOM_BYTES) throw new Error(`read ${read} bytes`)
  }
  return { first: ms[0] ?? NaN, p50: quantile(ms, 0.5), p99: quantile(ms, 0.99) }
}

async function random({ folder, root, sizeBytes }: Stored): Promise<Latencies> {
  const { engine } = await engineIn(folder)
  return timeEach(sizeBytes, async (offset) => {
    let read = 0
    for await (const bytes of engine.read(root, BIG, { offset, length: RANDOM_BYTES }))
      read += bytes.length
    return read
  })
}

async function rawRandom({ source, sizeBytes }: Stored & { source: string }): Promise<Latencies> {
  const file = await open(source)
  return timeEach(sizeBytes, async (offset) => {
    const bytes = new Uint8Array(RANDOM_BYTES)
    return (await file.read(bytes, 0, RANDOM_BYTES, offset)).bytesRead
  })
}

const cat = (source: string): Promise<Cost> =>
  runCommand(['sh', '-c', 'exec cat -- "$0" > /dev/null', source])

export const bench: Bench = {
  name: 'read-back',
  what: 'one file of noise read back, the engine alone; every chunk is checked against its id',
  jobs: { store, compare, sequential, random, rawRandom },
  async run({ small }) {
    const sizeBytes = small ? GIB / 2 : 10 * GIB
    const rounds = small ? 5 : 3
    return withFolder(3.3 * sizeBytes, async (folder) => {
      const found = await peers('borg', 'restic')
      const source = join(folder, 'source')
      await writeNoise(source, sizeBytes, 'read-back')
      const into = join(folder, 'into')
      const { result: root } = await runJob<TreeRef>('read-back', 'store', { source, folder: into })
      const stored = { folder: into, root, sizeBytes, source }
      await runJob('read-back', 'compare', stored)
      const ours = async (): Promise<Cost> => (await runJob('read-back', 'sequential', stored)).cost
      const all = new Map<string, Cost[]>()
      const take = (name: string, cost: Cost): unknown =>
        all.set(name, [...(all.get(name) ?? []), cost])
      const colds = await dropCaches()
      for (let round = 0; round < rounds; round++) {
        if (colds) {
          await dropCaches()
          take('cat cold', await cat(source))
          await dropCaches()
          take('cold', await ours())
        }
        await cat(source)
        take('cat', await cat(source))
        await ours()
        take('warm', await ours())
      }
      await settleDisk()
      await dropCaches()
      const coldRandom = await runJob<Latencies>('read-back', 'random', stored)
      await dropCaches()
      const coldRaw = await runJob<Latencies>('read-back', 'rawRandom', stored)
      const warmRandom = await runJob<Latencies>('read-back', 'random', stored)
      const warmRaw = await runJob<Latencies>('read-back', 'rawRandom', stored)

      const rate = (name: string): number =>
        sizeBytes / 1e6 / (median((all.get(name) ?? []).map(({ wallMs }) => wallMs)) / 1000)
      const cpu = (name: string): number =>
        (median((all.get(name) ?? []).map(({ cpuMs }) => cpuMs)) / 1000) * (GIB / sizeBytes)
      const peak = Math.max(...(all.get('warm') ?? []).map(({ peakBytes }) => peakBytes))
      const metrics: Metric[] = []
      for (const [name, words] of [
        ['cold', 'cold'],
        ['warm', 'warm'],
      ] as const) {
        if (!all.has(name)) continue
        const peer = name === 'cold' ? 'cat cold' : 'cat'
        metrics.push(
          metric(`whole file, ${words}`, rate(name), 'MB/s', {
            goal: '≥ 0.8 × cat',
            met: rate(name) >= 0.8 * rate(peer),
            peer: { name: peer, value: rate(peer) },
          }),
          metric(`whole file, ${words}: processor time`, cpu(name), 's/GiB', {
            peer: { name: peer, value: cpu(peer) },
          }),
        )
      }
      metrics.push(metric('whole file: memory', peak / 2 ** 20, 'MiB'))
      const each = (words: string, ours: Latencies, raw: Latencies): void => {
        const goal = { goal: '≤ 1 ms', met: ours.p50 <= 1 }
        metrics.push(
          metric(`4 KiB at random, ${words}: p50`, ours.p50, 'ms', {
            ...goal,
            peer: { name: 'raw read', value: raw.p50 },
          }),
          metric(`4 KiB at random, ${words}: p99`, ours.p99, 'ms', {
            peer: { name: 'raw read', value: raw.p99 },
          }),
        )
      }
      each(colds ? 'cold' : 'first time', coldRandom.result, coldRaw.result)
      each('warm', warmRandom.result, warmRaw.result)
      metrics.push(metric('the very first of them', coldRandom.result.first, 'ms'))

      const peer = join(folder, 'peer')
      if (found.has('borg')) {
        await borgInit(peer)
        await borgCreate(peer, 'one', source)
        const ms = (await borgRead(peer, 'one')).wallMs
        metrics.push(metric('borg extract, warm', sizeBytes / 1e3 / ms, 'MB/s'))
        await runCommand(['rm', '-rf', peer])
      }
      if (found.has('restic')) {
        await resticInit(peer)
        await resticBackup(peer, source)
        const ms = (await resticDump(peer, source)).wallMs
        metrics.push(metric('restic dump, warm', sizeBytes / 1e3 / ms, 'MB/s'))
      }
      return metrics
    })
  },
}
