import { expect, test } from 'vitest'
import { aborted } from '../../src/base/async.ts'
import { ownIn } from '../../src/pipelines/share.ts'
import type { Share } from '../../src/pipelines/share.ts'

/** A share that has every project, or none. */
function makeShare(): Share & { set(has: boolean): void; listeners(): number } {
  const listeners = new Set<() => void>()
  let held = false
  return {
    has: () => held,
    listen: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    set: (has) => {
      held = has
      for (const listener of listeners) listener()
    },
    listeners: () => listeners.size,
  }
}

/** Everything that can go on has. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('work of a project goes on while the share has it, and again when it comes back', async () => {
  const share = makeShare()
  const stop = new AbortController()
  const told: string[] = []
  const done = ownIn(share)('p/x', stop.signal, async (signal) => {
    told.push('begins')
    await aborted(signal)
    told.push('ends')
  })
  await settled()
  expect(told).toEqual([])
  for (const has of [true, true, false, false, true]) {
    share.set(has)
    await settled()
  }
  expect(told).toEqual(['begins', 'ends', 'begins'])
  stop.abort()
  await done
  expect(told).toHaveLength(4)
  expect(share.listeners()).toBe(0)
})

test('work that ends by itself, or fails, is not begun again', async () => {
  const share = makeShare()
  share.set(true)
  let times = 0
  const { signal } = new AbortController()
  await ownIn(share)('p/x', signal, async () => {
    times++
  })
  const failing = ownIn(share)('p/x', signal, () => Promise.reject(new Error('broken')))
  await expect(failing).rejects.toThrow('broken')
  expect([times, share.listeners()]).toEqual([1, 0])
})
