// Helm itself, built once by Go. VARVE_TEST_HELM=/path/to/helm uses yours instead.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { cachePath, cached } from './cache.ts'
import { missingTools } from './need.ts'
import { run } from './process.ts'

const VERSION = 'v4.3.1'
const NAME = `helm-${VERSION}`

/** The chart of this checkout. */
export const CHART = resolve(import.meta.dirname, '../../helm/varve')

export const helmAvailable =
  process.env['VARVE_TEST_HELM'] !== undefined ||
  existsSync(cachePath(NAME)) ||
  missingTools('go').length === 0

/** The program, built when it is not there yet. */
export async function helmBinary(): Promise<string> {
  const given = process.env['VARVE_TEST_HELM']
  if (given !== undefined) return given
  const folder = await cached(
    NAME,
    `Building Helm ${VERSION} with Go, usually 3 to 9 minutes`,
    async (draft) => {
      const what = `helm.sh/helm/v4/cmd/helm@${VERSION}`
      const env = { ...process.env, GOBIN: draft, CGO_ENABLED: '0' }
      await run('go', ['install', '-trimpath', '-ldflags', '-s -w', what], env)
    },
  )
  return join(folder, 'helm')
}

export interface Helmed {
  readonly ok: boolean
  readonly stdout: string
  readonly stderr: string
}

/** Runs it to its end, whatever that is. */
export async function helm(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Helmed> {
  const { status, stdout, stderr } = spawnSync(await helmBinary(), args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 64 * 2 ** 20,
  })
  return { ok: status === 0, stdout, stderr }
}
