// `npm start -- --once`: the demo from nothing to the first egress record, in one line of JSON.
import { expect, test } from 'vitest'
import { cli } from './product.ts'

test('npm start -- --once: prints how long the first egress record took and ends', async () => {
  const ran = await cli(['dev', '--demo', '--once'])
  expect(ran.code, ran.stderr).toBe(0)
  const last = JSON.parse(ran.stdout.trim().split('\n').at(-1) as string) as {
    firstOutputMs: number
  }
  expect(last.firstOutputMs).toBeGreaterThan(0)
})
