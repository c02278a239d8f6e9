// What every connector must do, whatever it connects to. A connector's test brings a bench: how to
// make it anew, how to feed its system, how to look into it.

import { afterEach, describe, expect, test } from 'vitest'
import type {
  ConnectorContext,
  Coordinates,
  Positions,
  Sink,
  Source,
  SourceBatch,
  Trouble,
} from '../../src/connector/mod.ts'
import { parsePosition } from '../../src/connector/mod.ts'

export const context: ConnectorContext = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      signal?.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    }),
  secret: () => Promise.reject(new Error('no secrets here')),
}

export interface SourceBench {
  /** A source as after a restart of the process. */
  source(): Promise<Source>
  /** Adds values to the one part of the feed, in order. */
  append(values: readonly string[]): Promise<void>
  close(): Promise<void>
}

export interface SinkBench {
  sink(): Promise<Sink>
  /** All values in the order they were delivered to one reader, who drops ids it has seen. */
  read(): Promise<string[]>
  close(): Promise<void>
}

const undo: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step()
})

/** Reads until `count` records came or anything but a batch. */
export async function readSome(
  source: Source,
  positions: Positions,
  count: number,
): Promise<{ batches: SourceBatch[]; values: string[]; trouble: Trouble | undefined }> {
  const stop = new AbortController()
  const batches: SourceBatch[] = []
  const values: string[] = []
  for await (const item of source.open(positions, stop.signal)) {
    if (item.kind !== 'batch') return { batches, values, trouble: item }
    batches.push(item)
    for (const { value } of item.records) values.push(value ? Buffer.from(value).toString() : '')
    if (values.length >= count) stop.abort()
  }
  return { batches, values, trouble: undefined }
}

export function sourceSuite(name: string, makeBench: () => Promise<SourceBench>): void {
  const begin = async (): Promise<SourceBench> => {
    const bench = await makeBench()
    undo.push(() => bench.close())
    return bench
  }
  const opened = async (bench: SourceBench): Promise<Source> => {
    const source = await bench.source()
    undo.push(() => source.close())
    return source
  }
  const many = Array.from({ length: 500 }, (_, i) => `value ${i} ${'x'.repeat(i % 50)}`)

  describe(`source ${name}`, () => {
    test('gives all records in order, in batches that follow one another', async () => {
      const bench = await begin()
      await bench.append(many)
      const { batches, values } = await readSome(await opened(bench), {}, many.length)
      expect(values).toEqual(many)
      for (const [i, batch] of batches.entries()) {
        if (i > 0) expect(batch.from).toBe(batches[i - 1]?.to)
        const ordinals = batch.records.map(({ ordinal }) => ordinal)
        expect(ordinals).toEqual(ordinals.toSorted((a, b) => a - b))
        expect(ordinals[0]).toBeGreaterThanOrEqual(parsePosition(batch.from).ordinal)
        expect(ordinals.at(-1)).toBeLessThan(parsePosition(batch.to).ordinal)
      }
    })

    test('goes on at every position it gave, after a restart', async () => {
      const bench = await begin()
      for (let i = 0; i < 10; i++) {
        await bench.append([`a${i}`, `b${i}`])
        // Small feeds give a position after each look.
        const source = await opened(bench)
        await readSome(source, {}, 2 * (i + 1))
      }
      const all = await readSome(await opened(bench), {}, 20)
      let before = 0
      for (const batch of all.batches) {
        before += batch.records.length
        if (before === 20) break
        const rest = await readSome(await opened(bench), { [batch.part]: batch.to }, 20 - before)
        expect(rest.values).toEqual(all.values.slice(before))
        expect(rest.batches[0]?.from).toBe(batch.to)
      }
    })

    test('meets records that come while it waits', async () => {
      const bench = await begin()
      await bench.append(['early'])
      const source = await opened(bench)
      const reading = readSome(source, {}, 3)
      await context.sleep(50)
      await bench.append(['late', 'later'])
      expect((await reading).values).toEqual(['early', 'late', 'later'])
    })

    test('stops with the signal though nothing comes', async () => {
      const bench = await begin()
      await bench.append(['only'])
      const source = await opened(bench)
      const stop = new AbortController()
      let records = 0
      for await (const item of source.open({}, stop.signal)) {
        records += item.kind === 'batch' ? item.records.length : 0
        setTimeout(() => stop.abort(), 100)
      }
      expect(records).toBe(1)
    })

    test('says where its end is', async () => {
      const bench = await begin()
      await bench.append(['a', 'b'])
      const source = await opened(bench)
      const { batches } = await readSome(source, {}, 2)
      const [lag] = (await source.lag()).filter(({ part }) => part === batches[0]?.part)
      expect(lag?.end).toBe(batches.at(-1)?.to)
    })
  })
}

export function sinkSuite(name: string, makeBench: () => Promise<SinkBench>): void {
  const begin = async (): Promise<SinkBench> => {
    const bench = await makeBench()
    undo.push(() => bench.close())
    return bench
  }
  const send = async (sink: Sink, values: readonly string[]): Promise<void> => {
    const records = values.map((value) => ({ id: `id ${value}`, value: Buffer.from(value) }))
    expect(await sink.write({ commit: 'c', records })).toBeNull()
  }
  const at = (result: { at: Coordinates } | Trouble): Coordinates => {
    if ('kind' in result) throw new Error(JSON.stringify(result))
    return result.at
  }

  describe(`sink ${name}`, () => {
    test('delivers in order over batches and restarts', async () => {
      const bench = await begin()
      const first = await bench.sink()
      at(await first.open(null))
      await send(first, ['a', 'b'])
      await send(first, ['c'])
      const delivered = at(await first.commit())
      await first.close()
      const second = await bench.sink()
      at(await second.open(delivered))
      await send(second, ['d'])
      at(await second.commit())
      await second.close()
      expect(await bench.read()).toEqual(['a', 'b', 'c', 'd'])
    })

    test('written and not recorded, then sent again: a reader sees each record once', async () => {
      const bench = await begin()
      const first = await bench.sink()
      const start = at(await first.open(null))
      await send(first, ['a'])
      const delivered = at(await first.commit())
      expect(JSON.parse(JSON.stringify(delivered))).toEqual(delivered)
      await send(first, ['b', 'c'])
      await first.close()
      // The log knows of `a` only; then not even of that.
      const second = await bench.sink()
      at(await second.open(delivered))
      await send(second, ['b', 'c'])
      at(await second.commit())
      await second.close()
      expect(await bench.read()).toEqual(['a', 'b', 'c'])
      const third = await bench.sink()
      at(await third.open(start))
      await send(third, ['a', 'b', 'c', 'd'])
      at(await third.commit())
      await third.close()
      expect(await bench.read()).toEqual(['a', 'b', 'c', 'd'])
    })
  })
}
