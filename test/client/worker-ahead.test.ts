import { expect, test } from 'vitest'
import { frame } from '../../src/api/worker-frames.ts'
import type { Claim } from '../../src/api/worker.ts'
import { concat, fromUtf8, utf8 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { Ahead } from '../../src/client/worker-ahead.ts'
import { WorkerLink } from '../../src/client/worker-link.ts'
import { OneChunk, piece } from '../worker/one-chunk.ts'

test('of what is there already nothing is asked for, and nothing is held', async () => {
  const { claimed }: { claimed: Claim } = new OneChunk(
    ['a', 'b', 'c', 'd'].map((path) => piece(path, path)),
  )
  const asked: string[][] = []
  const link = new WorkerLink({
    server: 'http://127.0.0.1:1',
    token: 't',
    clock: systemClock,
    random: seededRandom(1),
    fetch: (_url, init) => {
      const { files } = JSON.parse(init?.body as string) as {
        files: { input: string; path: string }[]
      }
      asked.push(files.map(({ path }) => path))
      const frames = files.map(({ input, path }) => frame({ of: input, path, bytes: utf8(path) }))
      return Promise.resolve(new Response(concat(frames)))
    },
  })
  const ahead = new Ahead(link, { ticket: 'k', at: undefined }, claimed)
  ahead.pass('in', 'b')
  expect(fromUtf8((await ahead.take('in', 'a')) ?? utf8('none'))).toBe('a')
  expect(asked).toEqual([['a', 'c', 'd']])
  ahead.pass('in', 'c')
  expect(await ahead.take('in', 'c')).toBeUndefined()
  expect(fromUtf8((await ahead.take('in', 'd')) ?? utf8('none'))).toBe('d')
  expect(asked).toHaveLength(1)
})
