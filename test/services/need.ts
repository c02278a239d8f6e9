// What a test needs of the machine. A missing tool is a loud skip by name on a developer's machine
// and a failure in CI, so that a green run never hides an untested half.

import { spawnSync } from 'node:child_process'

const said = new Set<string>()

/** The tools that are not on the PATH; prints them once. @throws in CI (CI=true) */
export function missingTools(...tools: readonly string[]): readonly string[] {
  const missing = tools.filter((tool) => !onPath(tool))
  if (missing.length === 0) return missing
  const text = `missing on this machine: ${missing.join(', ')}; tests that need it are skipped`
  if (process.env['CI'] === 'true') throw new Error(`CI needs every tool: ${text}`)
  if (!said.has(text)) console.warn(`SKIPPED: ${text}`)
  said.add(text)
  return missing
}

function onPath(tool: string): boolean {
  return spawnSync('sh', ['-c', 'command -v -- "$0"', tool], { stdio: 'ignore' }).status === 0
}
