// `npm test`: every project of vitest.config.ts, then what was skipped, then one plain line of numbers.
// Arguments go to vitest (`npm test -- test/objects`).
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numFailedTestSuites: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
  }[]
}

const root = resolve(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'varve-test-'))
const output = join(folder, 'report.json')
const vitest = join(root, 'node_modules/.bin/vitest')
const ran = spawnSync(
  vitest,
  [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${output}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit' },
)

let report: Report
try {
  report = JSON.parse(readFileSync(output, 'utf8')) as Report
} catch {
  console.error('vitest ended without a report')
  process.exit(1)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const tests = report.testResults.flatMap((file) => file.assertionResults)
const skipped = tests.filter((test) => test.status === 'skipped' || test.status === 'pending')
for (const test of skipped) console.log(`skipped: ${test.fullName}`)
// A file that fails before its first test counts as one failure, so that the numbers cannot hide it.
const broken = report.testResults.filter(
  (file) =>
    file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
).length
const failed = report.numFailedTests + broken
console.log(`${report.numPassedTests} passed, ${failed} failed, ${skipped.length} skipped`)
process.exit(ran.status === 0 && failed === 0 ? 0 : 1)
