// borg and restic as their manuals begin, without a pass phrase where they can do without, and nothing
// of theirs left in the user's home.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cost } from './cost.ts'
import { runCommand } from './cost.ts'

function borgEnv(repo: string): NodeJS.ProcessEnv {
  return {
    BORG_BASE_DIR: join(repo, 'home'),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
  }
}

export async function borgInit(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await runCommand(['borg', 'init', '-e', 'none', join(folder, 'repo')], { env: borgEnv(folder) })
}

export function borgCreate(folder: string, archive: string, source: string): Promise<Cost> {
  const to = `${join(folder, 'repo')}::${archive}`
  return runCommand(['borg', 'create', to, source], { env: borgEnv(folder) })
}

/** Into nowhere: what it costs to read. */
export function borgRead(folder: string, archive: string): Promise<Cost> {
  const from = `${join(folder, 'repo')}::${archive}`
  const script = 'exec borg extract --stdout "$0" > /dev/null'
  return runCommand(['sh', '-c', script, from], { env: borgEnv(folder) })
}

const RESTIC_ENV = { RESTIC_PASSWORD: 'bench' }

function restic(folder: string, args: readonly string[]): Promise<Cost> {
  const cache = join(folder, 'cache')
  const options = ['--repo', join(folder, 'repo'), '--cache-dir', cache]
  return runCommand(['restic', ...options, ...args], { env: RESTIC_ENV })
}

export async function resticInit(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await restic(folder, ['init'])
}

export function resticBackup(folder: string, source: string): Promise<Cost> {
  return restic(folder, ['backup', source])
}

/** Into nowhere. */
export function resticDump(folder: string, source: string): Promise<Cost> {
  const script = 'exec restic --repo "$0" --cache-dir "$1" dump latest "$2" > /dev/null'
  const to = [join(folder, 'repo'), join(folder, 'cache'), source]
  return runCommand(['sh', '-c', script, ...to], { env: RESTIC_ENV })
}
