import { expect, test, vi } from 'vitest'
import { oneRefreshAtATime } from '../../src/tables/adapters/cassandra/control-connection.ts'

function control(work: (n: number) => Promise<void>) {
  const state = { calls: 0, atOnce: 0, mostAtOnce: 0, said: [] as string[] }
  const one = {
    connection: null as { connected: boolean } | null,
    _isShuttingDown: false,
    async _refresh(plan?: unknown): Promise<void> {
      if (plan !== undefined) return
      state.calls++
      state.mostAtOnce = Math.max(state.mostAtOnce, ++state.atOnce)
      try {
        await work(state.calls)
        // The driver's own way to go on within a refresh.
        await one._refresh('plan')
      } finally {
        state.atOnce--
      }
    },
  }
  oneRefreshAtATime(one, (text) => state.said.push(text))
  return { one, state }
}

test('two refreshes asked for at once run one after another, and no more than needed', async () => {
  const { one, state } = control(async () => {
    await Promise.resolve()
  })
  await Promise.all([one._refresh(), one._refresh(), one._refresh()])
  expect(state).toMatchObject({ calls: 2, mostAtOnce: 1 })
  one.connection = { connected: true }
  await Promise.all([one._refresh(), one._refresh()])
  expect(state).toMatchObject({ calls: 3, mostAtOnce: 1 })
})

test('one that fails rejects nobody, is told, and is begun again', async () => {
  vi.useFakeTimers()
  try {
    const { one, state } = control((n) =>
      n === 1 ? Promise.reject(new TypeError('host is null')) : Promise.resolve(),
    )
    await one._refresh()
    expect(state).toMatchObject({ calls: 1, said: [expect.stringContaining('host is null')] })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(state.calls).toBe(2)
    one._isShuttingDown = true
  } finally {
    vi.useRealTimers()
  }
})
