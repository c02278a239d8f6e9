// What every adapter of the port Bus promises. `make` gives a bus and a topic nobody used yet;
// `settled` resolves when what was published had time to arrive (tests poll up to it).

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../../src/base/bytes.ts'
import type { Bus, BusMessage } from '../../src/bus/bus.ts'

export interface BusUnderTest {
  readonly bus: Bus
  /** A topic of at least 4 partitions, unused. */
  topic(): Promise<string>
  close?(): Promise<void>
}

const message = (partition: number, text: string): BusMessage => ({
  partition,
  key: `k${partition}`,
  headers: { n: text },
  value: utf8(text),
})

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 6_000 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(what()).toBe(true)
}

export function busContract(name: string, make: () => Promise<BusUnderTest>): void {
  describe(`bus: ${name}`, () => {
    let made: BusUnderTest
    beforeAll(async () => {
      made = await make()
    })
    afterAll(() => made.close?.())

    /** Publishes probes until the subscriber hears: a subscription may take a moment to stand. */
    async function standing(topic: string, heard: () => boolean, probe: BusMessage): Promise<void> {
      for (let i = 0; i < 600 && !heard(); i++) {
        await made.bus.publish(topic, [probe])
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      expect(heard()).toBe(true)
    }

    test('a group gets every message, those of one partition in order, one call at a time', async () => {
      const topic = await made.topic()
      const seen: string[] = []
      let running = 0
      let overlapped = false
      const subscription = made.bus.subscribe(topic, { group: 'g' }, async (messages) => {
        const own = messages.filter((each) => each.partition === 1)
        if (own.length === 0) return
        overlapped ||= running++ > 0
        await new Promise((resolve) => setTimeout(resolve, 1))
        seen.push(...own.map((each) => fromUtf8(each.value)))
        running--
      })
      await standing(topic, () => seen.length > 0, message(1, 'probe'))
      for (let i = 0; i < 30; i++)
        await made.bus.publish(topic, [
          message(1, `${2 * i}`),
          message(2, 'x'),
          message(1, `${2 * i + 1}`),
        ])
      await until(() => seen.includes('59'))
      expect(seen.filter((each) => each !== 'probe')).toEqual(
        Array.from({ length: 60 }, (_, i) => `${i}`),
      )
      expect(overlapped).toBe(false)
      await subscription.close()
    })

    test('a handler that throws gets the message again', async () => {
      const topic = await made.topic()
      const seen: string[] = []
      let failures = 0
      const subscription = made.bus.subscribe(topic, { group: 'g' }, async (messages) => {
        for (const each of messages) {
          const text = fromUtf8(each.value)
          if (text !== 'probe' && failures++ < 2) throw new Error('not now')
          seen.push(`${text} ${each.key} ${each.headers['n']}`)
        }
      })
      await standing(topic, () => seen.length > 0, message(0, 'probe'))
      await made.bus.publish(topic, [message(0, 'once more')])
      await until(() => seen.includes('once more k0 once more'))
      expect(failures).toBeGreaterThanOrEqual(3)
      await subscription.close()
    })

    test('each message goes to one member of a group, and to every tail', async () => {
      const topic = await made.topic()
      const heard: string[][] = [[], [], [], []]
      const listen = (at: number) => async (messages: readonly BusMessage[]) => {
        heard[at]?.push(...messages.map((each) => fromUtf8(each.value)))
      }
      const all = [
        made.bus.subscribe(topic, { group: 'one' }, listen(0)),
        made.bus.subscribe(topic, { group: 'one' }, listen(1)),
        made.bus.subscribe(topic, { tail: true }, listen(2)),
        made.bus.subscribe(topic, { tail: true }, listen(3)),
      ]
      for (let p = 0; p < 4; p++)
        await standing(
          topic,
          () =>
            [heard[0]?.concat(heard[1] ?? []), heard[2], heard[3]].every((list) =>
              list?.includes(`probe ${p}`),
            ),
          message(p, `probe ${p}`),
        )
      const wanted = Array.from({ length: 40 }, (_, i) => `m${i}`)
      for (const [i, text] of wanted.entries())
        await made.bus.publish(topic, [message(i % 4, text)])
      const own = (list: string[] | undefined): string[] =>
        (list ?? []).filter((each) => each.startsWith('m'))
      await until(() => own(heard[2]).length >= 40 && own(heard[3]).length >= 40)
      await until(() => own(heard[0]).length + own(heard[1]).length >= 40)
      expect(own(heard[2]).toSorted()).toEqual(wanted.toSorted())
      expect([...own(heard[0]), ...own(heard[1])].toSorted()).toEqual(wanted.toSorted())
      await Promise.all(all.map((each) => each.close()))
    })

    test('no handler call begins after close; a group without members keeps its place', async () => {
      const topic = await made.topic()
      const first: string[] = []
      const second: string[] = []
      const into = (list: string[]) => async (messages: readonly BusMessage[]) => {
        list.push(...messages.map((each) => fromUtf8(each.value)))
      }
      const subscription = made.bus.subscribe(topic, { group: 'g' }, into(first))
      await standing(topic, () => first.length > 0, message(0, 'probe'))
      await subscription.close()
      const before = first.length
      await made.bus.publish(topic, [message(0, 'late')])
      const later = made.bus.subscribe(topic, { group: 'g' }, into(second))
      await until(() => second.includes('late'))
      expect(first.length).toBe(before)
      await later.close()
    })
  })
}
