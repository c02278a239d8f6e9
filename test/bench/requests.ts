// What a distant store is asked for: requests, and waves of them one after another, counted on a store
// in memory that answers after 30 ms. Waves are what a user waits for; the time shows them.

import { MemoryBlobStore } from '../../src/blob/adapters/memory.ts'
import type { BlobObject, BlobStore } from '../../src/blob/blob.ts'
import type { Path } from '../../src/model/path.ts'
import { parsePath } from '../../src/model/path.ts'
import type { TreeRef } from '../../src/model/tree-ref.ts'
import type { ObjectEngine } from '../../src/objects/engine.ts'
import type { Bench, Metric } from './bench.ts'
import { metric } from './bench.ts'
import { noise } from './disk.ts'
import { engineOver } from './engine.ts'
import { otherContent, pathOf, putSmallFiles, spread } from './trees.ts'

const LATENCY_MS = 30
const MIB = 2 ** 20

/** Answers late, and knows how many answers had to be waited for one after another. */
class DistantBlobStore implements BlobStore {
  readonly #store: BlobStore
  puts = 0
  gets = 0
  /** A request begun while another is under way belongs to its wave. */
  waves = 0
  #underWay = 0

  constructor(store: BlobStore) {
    this.#store = store
  }

  async #late<T>(work: () => Promise<T>): Promise<T> {
    if (this.#underWay++ === 0) this.waves++
    await new Promise((resolve) => setTimeout(resolve, LATENCY_MS))
    this.#underWay--
    return work()
  }

  put(objects: readonly BlobObject[]): Promise<void> {
    this.puts += objects.length
    return this.#late(() => this.#store.put(objects))
  }

  get(key: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined> {
    this.gets++
    return this.#late(() => this.#store.get(key, range))
  }

  head(key: string): Promise<number | undefined> {
    this.gets++
    return this.#late(() => this.#store.head(key))
  }

  list(prefix: string, after?: string): AsyncIterable<{ key: string; sizeBytes: number }> {
    return this.#store.list(prefix, after)
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#store.delete(keys)
  }
}

interface Asked {
  readonly puts: number
  readonly gets: number
  readonly waves: number
  readonly ms: number
}

async function count(all: AsyncIterable<unknown>): Promise<number> {
  let n = 0
  for await (const _ of all) n++
  return n
}

export const bench: Bench = {
  name: 'requests',
  what: `requests and waves on a store that answers after ${LATENCY_MS} ms`,
  async run({ small }) {
    const files = small ? 50_000 : 1_000_000
    const bigBytes = (small ? 32 : 1_024) * MIB
    const blob = new MemoryBlobStore()
    const near = await engineOver(blob)
    const writer = near.writer(null)
    await putSmallFiles(writer, files)
    await writer.put(parsePath('big'), once(noise(bigBytes, 'requests')))
    const { root } = await writer.finishOnto(null)
    const changed = async (paths: readonly Path[]): Promise<TreeRef> => {
      const next = near.writer(root)
      const other = otherContent()
      for (const path of paths) await next.put(path, other())
      return (await next.finishOnto(root)).root
    }
    const ten = await changed(spread(10, files).map(pathOf))
    const metrics: Metric[] = []
    const words = files.toLocaleString('en-US')

    /** `warm`: done once before, elsewhere in the tree, so that inner nodes are known. */
    const ask = async (
      work: (engine: ObjectEngine) => Promise<unknown>,
      warm?: (engine: ObjectEngine) => Promise<unknown>,
    ): Promise<Asked> => {
      const distant = new DistantBlobStore(blob)
      const engine = await engineOver(distant)
      await warm?.(engine)
      const before = { puts: distant.puts, gets: distant.gets, waves: distant.waves }
      const start = performance.now()
      await work(engine)
      const ms = performance.now() - start
      return {
        puts: distant.puts - before.puts,
        gets: distant.gets - before.gets,
        waves: distant.waves - before.waves,
        ms,
      }
    }
    const tell = (
      name: string,
      { puts, gets, waves, ms }: Asked,
      goal: { waves?: number; puts?: number },
    ): void => {
      const most = goal.waves
      metrics.push(
        metric(`${name}: waves`, waves, '', {
          ...(most === undefined ? {} : { goal: `≤ ${most}`, met: waves <= most }),
          peer: { name: 'waves by the clock', value: ms / LATENCY_MS },
        }),
      )
      if (gets > 0) metrics.push(metric(`${name}: reads`, gets, 'requests'))
      const { puts: mostPuts } = goal
      if (mostPuts !== undefined)
        metrics.push(
          metric(`${name}: writes`, puts, 'requests', {
            goal: `≤ ${mostPuts}`,
            met: puts <= mostPuts,
          }),
        )
    }

    const other = otherContent()
    const commit =
      (path: Path) =>
      async (engine: ObjectEngine): Promise<void> => {
        const one = engine.writer(root)
        await one.put(path, other())
        await one.finishOnto(root)
      }
    const look = (path: Path) => (engine: ObjectEngine) => count(engine.read(root, path))
    const mid = pathOf(files / 2)
    const beside = pathOf(files / 2 + 500)
    const range = (offset: number) => (engine: ObjectEngine) =>
      count(engine.read(root, parsePath('big'), { offset, length: 4096 }))
    const dir = (name: string) => (engine: ObjectEngine) => count(engine.list(root, name as Path))

    tell(`a tiny commit into ${words}, cold`, await ask(commit(mid)), { waves: 5, puts: 1 })
    tell(`a tiny commit into ${words}, warm`, await ask(commit(mid), commit(beside)), {
      waves: 2,
      puts: 1,
    })
    tell('a file of 1 KB read, cold', await ask(look(mid)), { waves: 4 })
    tell('a file of 1 KB read, warm', await ask(look(mid), look(beside)), { waves: 1 })
    tell('a directory of 1,000 listed, cold', await ask(dir('d00003')), { waves: 4 })
    tell('a directory of 1,000 listed, warm', await ask(dir('d00003'), dir('d00004')), { waves: 1 })
    tell('diff of 10 changes, cold', await ask((engine) => count(engine.diff(root, ten))), {
      waves: 4,
    })
    tell('4 KiB of a large file, cold', await ask(range(bigBytes / 2)), { waves: 7 })
    tell('4 KiB of a large file, warm', await ask(range(bigBytes / 2), range(bigBytes / 3)), {
      waves: 2,
    })
    const stream = await ask((engine) =>
      count(engine.read(root, parsePath('big'), { offset: 0, length: 32 * MIB })),
    )
    tell('32 MiB of a large file', stream, {})
    return metrics
  },
}

async function* once(blocks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* blocks
}
