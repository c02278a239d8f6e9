// Which rows have a runner here, as the log and the ownership of rows change.

import { expect, test } from 'vitest'
import { Signal } from '../../src/base/async.ts'
import { systemClock as clock } from '../../src/base/clock.ts'
import type { Fact } from '../../src/model/ops.ts'
import { RowRunners } from '../../src/versions/row-runners.ts'
import type { Own, RunnableRow } from '../../src/versions/row-runners.ts'
import type { Versions } from '../../src/versions/versions.ts'

/** A log of one project whose facts are changes of rows. */
function logOf(rows: readonly RunnableRow[]) {
  const changed = new Signal()
  const facts: { row: RunnableRow; deleted: boolean }[] = []
  const versions = {
    async *projects() {
      yield { name: 'p' }
    },
    watermark: () => Promise.resolve(0),
    async *follow(_project: string, _from: number, signal: AbortSignal) {
      signal.addEventListener('abort', () => changed.ring())
      for (let at = 0; !signal.aborted; at++) {
        while (at >= facts.length && !signal.aborted) await changed.wait()
        if (facts[at]) yield { decision: { yes: [facts[at]] } }
      }
    },
  } as unknown as Versions
  return {
    versions,
    rows,
    say(row: RunnableRow, deleted = false) {
      facts.push({ row, deleted })
      changed.ring()
    },
  }
}

/** What hands rows to us and takes them back, as leases do. */
class Owner {
  readonly #gates = new Map<string, { have: boolean; changed: Signal; lost: AbortController }>()

  /** Rows that are wanted here. */
  wanted = 0

  readonly own: Own = (name, signal, work) => {
    this.wanted++
    return this.#own(name, signal, work).finally(() => this.wanted--)
  }

  readonly #own: Own = async (name, signal, work) => {
    const gate = this.#gate(name)
    signal.addEventListener('abort', () => gate.changed.ring())
    while (!signal.aborted) {
      while (!gate.have && !signal.aborted) await gate.changed.wait()
      if (signal.aborted) return
      gate.lost = new AbortController()
      await work(AbortSignal.any([signal, gate.lost.signal]))
      if (!gate.lost.signal.aborted) return
    }
  }

  give(name: string): void {
    this.#gate(name).have = true
    this.#gate(name).changed.ring()
  }

  take(name: string): void {
    this.#gate(name).have = false
    this.#gate(name).lost.abort()
  }

  #gate(name: string) {
    const gate = this.#gates.get(name) ?? {
      have: false,
      changed: new Signal(),
      lost: new AbortController(),
    }
    this.#gates.set(name, gate)
    return gate
  }
}

test('a row that is lost and won again has one runner at a time, a new one each time', async () => {
  const log = logOf([{ name: 'a', state: 'running' }])
  const owner = new Owner()
  let made = 0
  let running = 0
  let most = 0
  const runners = new RowRunners({
    versions: log.versions,
    clock,
    own: owner.own,
    kind: {
      rows: async function* () {
        yield* log.rows
      },
      changeOf: (fact: Fact) => fact as unknown as { row: RunnableRow; deleted: boolean },
      keyOf: ({ state }) => state,
      runnerOf: () => {
        const number = ++made
        return {
          number,
          async run(signal: AbortSignal) {
            most = Math.max(most, ++running)
            await clock.sleep(1e6, signal)
            await clock.sleep(5) // what is in hand comes to its end
            running--
          },
        }
      },
    },
  })
  const stop = new AbortController()
  const done = runners.run(stop.signal)
  const number = (): number | undefined => runners.runner('p', 'a')?.number

  await expect.poll(() => owner.wanted).toBe(1)
  expect(number()).toBeUndefined() // it is somebody else's
  owner.give('p/a')
  await expect.poll(number).toBe(1)
  owner.take('p/a')
  await expect.poll(number).toBeUndefined()
  owner.give('p/a')
  await expect.poll(number).toBe(2)

  // Lost and won before the runner had ended: the next waits for it.
  owner.take('p/a')
  owner.give('p/a')
  await expect.poll(number).toBe(3)
  expect(most).toBe(1)

  // Paused while it is somebody else's, it does not run when it is won.
  owner.take('p/a')
  await expect.poll(number).toBeUndefined()
  log.say({ name: 'a', state: 'paused' })
  await expect.poll(() => owner.wanted).toBe(0)
  owner.give('p/a')
  expect([number(), made]).toEqual([undefined, 3])
  log.say({ name: 'a', state: 'running' })
  await expect.poll(number).toBe(4)

  stop.abort()
  await done
  expect(running).toBe(0)
})
