// The tools of the house, so that `npm test` is all: types, lint, format, dead code.
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')

function run(tool: string, ...args: string[]): { status: number | null; output: string } {
  const done = spawnSync(join(ROOT, 'node_modules/.bin', tool), args, {
    cwd: ROOT,
    encoding: 'utf8',
  })
  return { status: done.status, output: done.stdout + done.stderr }
}

test.each([
  ['types', 'tsc', '-p', '.'],
  ['types of the page', 'tsc', '-p', 'src/console'],
  ['lint', 'oxlint', '--type-aware'],
  ['format', 'oxfmt', '--check', '.'],
  ['dead code', 'knip', '--no-progress'],
] as const)('tidy: %s', (_name, tool, ...args) => {
  const { status, output } = run(tool, ...args)
  expect(status, output).toBe(0)
})
