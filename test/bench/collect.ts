// Collection beside writers: of 1,000 commits that each replace a large file and some small ones of a large
// tree every second one is dropped, and one round collects what only those held. The collecting process
// holds the writers too. In the end every kept commit is read back, and everything named is looked up: what
// is lost ends the benchmark with an error.

import { randomFillSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobStore } from '../../src/blob/blob.ts'
import { isVarveError } from '../../src/base/errors.ts'
import type { Commit } from '../../src/model/entities.ts'
import { parsePath } from '../../src/model/path.ts'
import type { CollectStep } from '../../src/objects/upkeep/collect.ts'
import { namedRoots } from '../../src/versions/named-roots.ts'
import type { Bench } from './bench.ts'
import { metric, quantile } from './bench.ts'
import { costOf, runJob } from './cost.ts'
import { bytesBelow, noise, withFolder } from './disk.ts'
import { Stack } from './stack.ts'
import { SMALL_BYTES, pathOf, putSmallFiles, spread } from './trees.ts'

/** Of the tree, that a commit replaces. */
const SMALL_EACH = 5
const WRITERS = 4
const WARM_COMMITS = 100
const ALONE_COMMITS = 400
/** For writers to learn what is to go. */
const WAIT_MS = 3_000
const MIB = 2 ** 20

interface Sizes {
  readonly folder: string
  readonly commits: number
  readonly files: number
  readonly bigBytes: number
}

/** What commit `n` writes, again and again the same. */
function* filesOf(n: number, { files, bigBytes }: Sizes): Generator<[string, Uint8Array]> {
  yield ['big', Buffer.concat([...noise(bigBytes, `big ${n}`)])]
  const [small = new Uint8Array()] = noise(SMALL_EACH * SMALL_BYTES, `small ${n}`)
  for (const [i, at] of spread(SMALL_EACH, files).entries()) {
    const path = pathOf((at + n * 37) % files)
    yield [path, small.subarray(i * SMALL_BYTES, (i + 1) * SMALL_BYTES)]
  }
}

/** @returns the kept ones are written to a file */
async function fill(sizes: Sizes): Promise<void> {
  const stack = await Stack.open(join(sizes.folder, 'varve'))
  await stack.createRepo('repo')
  await stack.commit('repo', (writer) => putSmallFiles(writer, sizes.files))
  const kept: Record<number, Commit['id']> = {}
  const gone: Commit[] = []
  for (let n = 0; n < sizes.commits; n++) {
    const commit = await stack.commit('repo', async (writer) => {
      for (const [path, bytes] of filesOf(n, sizes)) await writer.put(parsePath(path), bytes)
    })
    if (n % 2 === 0) gone.push(commit)
    else kept[n] = commit.id
  }
  for (let at = 0; at < gone.length; at += 100) await stack.drop(gone.slice(at, at + 100))
  await writeFile(join(sizes.folder, 'kept'), JSON.stringify(kept))
  await stack.close()
}

/** What was read of each pack. */
class ReadCounts {
  readonly bytes = new Map<string, number>()
  readonly whole = new Map<string, number>()
  readonly sizes = new Map<string, number>()
  requests = 0
  putBytes = 0

  over(blob: BlobStore): BlobStore {
    return {
      put: (objects) => {
        for (const { bytes } of objects) this.putBytes += bytes.length
        return blob.put(objects)
      },
      get: async (key, range) => {
        const bytes = await blob.get(key, range)
        if (!key.startsWith('packs/')) return bytes
        this.requests++
        this.bytes.set(key, (this.bytes.get(key) ?? 0) + (bytes?.length ?? 0))
        if (!range) this.whole.set(key, (this.whole.get(key) ?? 0) + 1)
        return bytes
      },
      head: (key) => blob.head(key),
      list: (prefix, after) => this.#listed(blob.list(prefix, after)),
      delete: (keys) => blob.delete(keys),
    }
  }

  async *#listed(
    all: AsyncIterable<{ readonly key: string; readonly sizeBytes: number }>,
  ): AsyncGenerator<{ readonly key: string; readonly sizeBytes: number }> {
    for await (const one of all) {
      this.sizes.set(one.key, one.sizeBytes)
      yield one
    }
  }
}

interface Collected {
  readonly last: CollectStep
  readonly seconds: number
  readonly requests: number
  readonly readBytes: number
  readonly carriedBytes: number
  /** Of the process, before it collected. */
  readonly aloneBytes: number
  /** Of one pack, in times its size. */
  readonly mostRead: number
  readonly mostWhole: number
  readonly aloneMs: readonly number[]
  readonly besideMs: readonly number[]
  readonly refused: number
}

async function collect({ folder }: Sizes): Promise<Collected> {
  const stack = await Stack.open(join(folder, 'varve'))
  await stack.createRepo('beside')
  const written: Record<string, Commit['id']> = {}
  const ms: number[] = []
  let refused = 0
  let next = 0
  let isOver = false
  const write = async (writer: number): Promise<void> => {
    while (!isOver) {
      const name = `w${writer}/f${next++}`
      const content = randomFillSync(new Uint8Array(SMALL_BYTES))
      content.set(Buffer.from(name))
      const start = performance.now()
      for (;;)
        try {
          const commit = await stack.commit('beside', async (tree) => {
            await tree.put(parsePath(name), content)
          })
          written[name] = commit.id
          break
        } catch (error) {
          // As any author does.
          if (!isVarveError(error, 'SESSION_CLOSED')) throw error
          refused++
        }
      ms.push(performance.now() - start)
    }
  }
  const writing = Promise.all(Array.from({ length: WRITERS }, (_, n) => write(n)))
  const until = async (commits: number): Promise<void> => {
    while (ms.length < commits) await Promise.race([writing, new Promise((r) => setTimeout(r, 20))])
  }
  await until(WARM_COMMITS)
  ms.length = 0
  await until(ALONE_COMMITS)
  const aloneMs = ms.splice(0)
  const { peakBytes: aloneBytes } = (await costOf(() => Promise.resolve())).cost
  const reads = new ReadCounts()
  let last: CollectStep | undefined
  const start = performance.now()
  let waited = 0
  for await (const step of stack.collect(reads.over(stack.blob), WAIT_MS)) {
    if (step.phase === 'waiting') waited = WAIT_MS
    last = step
  }
  const seconds = (performance.now() - start - waited) / 1000
  const besideMs = ms.splice(0)
  isOver = true
  await writing
  await stack.close()
  await writeFile(join(folder, 'written'), JSON.stringify(written))
  if (!last) throw new Error('the collection said nothing')
  let readBytes = 0
  let mostRead = 0
  for (const [key, bytes] of reads.bytes) {
    readBytes += bytes
    mostRead = Math.max(mostRead, bytes / (reads.sizes.get(key) ?? bytes))
  }
  const mostWhole = Math.max(0, ...reads.whole.values())
  const { requests, putBytes: carriedBytes } = reads
  const counts = { requests, readBytes, carriedBytes, mostRead, mostWhole, refused, aloneBytes }
  return { last, seconds, aloneMs, besideMs, ...counts }
}

/** @returns files compared. @throws what is lost */
async function check(sizes: Sizes): Promise<number> {
  const stack = await Stack.open(join(sizes.folder, 'varve'))
  const { objects, versions } = stack
  const read = async (root: Commit['root'], path: string): Promise<Buffer> =>
    Buffer.concat(await Array.fromAsync(objects.read(root, parsePath(path))))
  let compared = 0
  for (const [n, id] of Object.entries(await idsOf(sizes, 'kept'))) {
    const { root } = await stack.resolve('repo', id)
    for (const [path, bytes] of filesOf(Number(n), sizes)) {
      if (!(await read(root, path)).equals(bytes)) throw new Error(`${id}:/${path} is not its own`)
      compared++
    }
    const { files } = await objects.stats(root)
    if (files !== sizes.files + 1) throw new Error(`${id} has ${files} files`)
  }
  for (const [name, id] of Object.entries(await idsOf(sizes, 'written'))) {
    const { root } = await stack.resolve('beside', id)
    const bytes = await read(root, name)
    if (!bytes.subarray(0, name.length).equals(Buffer.from(name)))
      throw new Error(`${name} is lost`)
    compared++
  }
  for await (const finding of objects.verify({ roots: () => namedRoots(versions) }))
    if (finding.kind === 'pack' || finding.kind === 'hurt')
      throw new Error(`something is lost: ${JSON.stringify(finding)}`)
  await stack.close()
  return compared
}

async function idsOf({ folder }: Sizes, of: string): Promise<Record<string, Commit['id']>> {
  return JSON.parse(await readFile(join(folder, of), 'utf8')) as Record<string, Commit['id']>
}

export const bench: Bench = {
  name: 'collect',
  what: `half of many commits dropped and collected, beside ${WRITERS} writers in the same process`,
  jobs: { fill, collect, check },
  async run({ small }) {
    const shape = small
      ? { commits: 300, files: 30_000, bigBytes: 128 * 1024 }
      : { commits: 1_000, files: 200_000, bigBytes: MIB }
    const needs = shape.commits * (shape.bigBytes + 2 ** 19) * 2 + shape.files * 4000
    return withFolder(needs, async (folder) => {
      const sizes: Sizes = { folder, ...shape }
      const blobs = join(folder, 'varve/blobs')
      await runJob('collect', 'fill', sizes)
      const before = await bytesBelow(blobs)
      const { result, cost } = await runJob<Collected>('collect', 'collect', sizes)
      const { result: compared } = await runJob<number>('collect', 'check', sizes)
      const { last, aloneMs, besideMs } = result
      const peak = cost.peakBytes / MIB
      const rows = [
        metric('memory, at most', peak, 'MB', {
          goal: '≤ 256 MB',
          met: peak <= 256,
          peer: { name: 'writers alone', value: result.aloneBytes / MIB },
        }),
        metric('of one pack read, at most', result.mostRead, 'of its size', {
          goal: '≤ once',
          met: result.mostRead <= 1,
        }),
        metric('reads of a whole pack, at most', result.mostWhole, '', {
          goal: '≤ 1',
          met: result.mostWhole <= 1,
        }),
        metric('read', result.readBytes / MIB, 'MB', {
          peer: { name: 'MB stored before', value: before / MIB },
        }),
        metric('reads', result.requests, 'requests'),
        metric('commits, of which half were dropped', shape.commits, ''),
        metric('packs', last.packs, ''),
        metric('packs deleted', last.deleted, ''),
        metric('of them carried over', last.repacked, ''),
        metric('freed', (last.deletedBytes - result.carriedBytes) / MIB, 'MB', {
          peer: {
            name: 'of large files dropped',
            value: (shape.commits * shape.bigBytes) / 2 / MIB,
          },
        }),
        metric('time without its wait', result.seconds, 's'),
        metric('nothing lost: files compared', compared, 'files', { goal: 'all', met: true }),
        metric('a commit beside it: p50', quantile(besideMs, 0.5), 'ms', {
          peer: { name: 'without it', value: quantile(aloneMs, 0.5) },
        }),
        metric('a commit beside it: p99', quantile(besideMs, 0.99), 'ms', {
          peer: { name: 'without it', value: quantile(aloneMs, 0.99) },
        }),
        metric('commits beside it', besideMs.length, ''),
        metric('sent again', result.refused, 'commits'),
      ]
      return rows
    })
  },
}
