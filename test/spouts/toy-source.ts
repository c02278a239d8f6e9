// A feed in memory whose every misbehaviour the test decides.

import { makePosition, parsePosition, sourceSpec } from '../../src/connector/mod.ts'
import type { Connector, Positions, SourceBatch, Trouble } from '../../src/connector/mod.ts'

export class ToyFeed {
  /** Values by part; null is a tombstone. */
  readonly parts = new Map<string, (string | null)[]>()
  identity = 'one'
  /** The first ordinal still there, by part. */
  readonly kept = new Map<string, number>()
  readonly opened: Positions[] = []
  readonly acked: Positions[] = []
  /** Records a batch, at most. */
  batch = 3
  /** Given once, before the next batch. */
  trouble: Trouble | undefined

  push(part: string, ...values: (string | null)[]): void {
    const list = this.parts.get(part) ?? []
    list.push(...values)
    this.parts.set(part, list)
  }

  connector(): Connector {
    return {
      name: 'toy',
      summary: 'a feed of the tests',
      sink: null,
      source: sourceSpec({
        class: 'replayable',
        ordinal: 'records',
        options: {},
        make: async (_options, context) => ({
          open: (positions, signal) => this.#open(positions, signal, context.sleep),
          ack: async (positions) => void this.acked.push(positions),
          lag: async () =>
            [...this.parts].map(([part, list]) => ({ part, end: this.#at(list.length) })),
          close: async () => {},
        }),
      }),
    }
  }

  async *#open(
    positions: Positions,
    signal: AbortSignal,
    sleep: (ms: number, signal?: AbortSignal) => Promise<void>,
  ): AsyncGenerator<SourceBatch | Trouble> {
    this.opened.push(positions)
    const next = new Map<string, number>()
    while (!signal.aborted) {
      if (this.trouble) {
        const { trouble } = this
        this.trouble = undefined
        return yield trouble
      }
      let quiet = true
      for (const [part, list] of this.parts) {
        const at = next.get(part) ?? ordinal(positions[part])
        const kept = this.kept.get(part) ?? 0
        if (at < kept)
          return yield {
            kind: 'gap',
            part,
            text: `${part}: ${at} to ${kept} are gone`,
            from: this.#at(at),
            to: this.#at(kept),
          }
        const values = list.slice(at, at + this.batch)
        if (values.length === 0) continue
        quiet = false
        next.set(part, at + values.length)
        const records = values.map((value, i) => ({
          key: null,
          value: value === null ? null : new TextEncoder().encode(value),
          headers: {},
          timestampMs: null,
          ordinal: at + i,
        }))
        const [from, to] = [this.#at(at), this.#at(at + values.length)]
        yield { kind: 'batch', part, from, to, records, bytes: 0 }
      }
      if (quiet) await sleep(5, signal)
    }
  }

  #at(index: number): string {
    return makePosition(index, this.identity)
  }
}

function ordinal(position: string | undefined): number {
  return position === undefined ? 0 : parsePosition(position).ordinal
}
