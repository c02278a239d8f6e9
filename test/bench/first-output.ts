import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import type { Bench } from './bench.ts'
import { median, metric } from './bench.ts'

const ROOT = resolve(import.meta.dirname, '../..')

export const bench: Bench = {
  name: 'first-output',
  what: 'from nothing to the first record the demo delivers, the process start included',
  async run({ small }) {
    const first: number[] = []
    const wall: number[] = []
    const bare: number[] = []
    const node = join(ROOT, 'node_modules/.bin/node')
    for (let round = 0; round < (small ? 3 : 5); round++) {
      const before = performance.now()
      spawnSync(node, ['-e', ''])
      bare.push(performance.now() - before)
      const start = performance.now()
      const ran = spawnSync(node, ['src/main/varve.mjs', 'dev', '--demo', '--once'], {
        cwd: ROOT,
        encoding: 'utf8',
      })
      if (ran.status !== 0) throw new Error(`the demo ended with ${ran.status}: ${ran.stderr}`)
      wall.push(performance.now() - start)
      const line = JSON.parse(ran.stdout.trim().split('\n').at(-1) as string) as {
        firstOutputMs: number
      }
      first.push(line.firstOutputMs)
    }
    const ms = median(first)
    return [
      metric('first egress record', ms, 'ms', { goal: '≤ 15 s', met: ms <= 15_000 }),
      metric('whole command, wall', median(wall), 'ms', {
        peer: { name: 'starting Node alone', value: median(bare) },
      }),
    ]
  },
}
