// The programs we are compared with, as Debian has them. Root may install what is missing; anybody else
// is told what is left out and why.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from '../services/process.ts'

const PACKAGES = { borg: 'borgbackup', restic: 'restic', git: 'git', tar: 'tar' } as const

export type Peer = keyof typeof PACKAGES

/** Those that are there or could be installed. @throws in CI (CI=true) where one is missing */
export async function peers<P extends Peer>(...wanted: readonly P[]): Promise<ReadonlySet<P>> {
  const missing = wanted.filter((peer) => !found(peer))
  if (missing.length > 0) await install(missing)
  return new Set(wanted.filter((peer) => found(peer)))
}

async function install(missing: readonly Peer[]): Promise<void> {
  const names = missing.map((peer) => PACKAGES[peer])
  const why = await (async () => {
    if (process.getuid?.() !== 0) return 'installing them needs root'
    if (!found('apt-get')) return 'there is no apt-get'
    console.error(`Installing ${names.join(', ')} with apt-get, usually half a minute`)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    try {
      await run('apt-get', ['update', '-qq'], env)
      await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], env)
      return undefined
    } catch (error) {
      return (error as Error).message
    }
  })()
  if (why === undefined) return
  const text = `missing on this machine: ${names.join(', ')}; ${why}`
  if (process.env['CI'] === 'true') throw new Error(`CI needs every peer: ${text}`)
  console.error(`SKIPPED: ${text}`)
}

function found(tool: string): boolean {
  const path = process.env['PATH'] ?? ''
  return path.split(delimiter).some((folder) => existsSync(join(folder, tool)))
}
