// A view of this machine in which /pfs is a folder of ours, made by bubblewrap. It is no prison: the
// code runs with the rights of the server, as it would without; what it gives is the path /pfs, inputs
// that cannot be written, and an end that takes every process along.

import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, readdir, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { SpawnerClient } from './spawner-client.ts'

export interface Sandbox {
  readonly file: string
  /** Arguments that come before the command. */
  args(pfs: string, cwd: string): string[]
}

/** The sandbox if bubblewrap is here and does what we need, found out by doing it; else the reason. */
export async function probeSandbox(
  spawner: SpawnerClient,
  path: string,
): Promise<Sandbox | { readonly missing: string }> {
  const file = await inPath('bwrap', path)
  if (!file) return { missing: 'bubblewrap is not installed' }
  const mounts = await rootMounts()
  const sandbox: Sandbox = {
    file,
    args: (pfs, cwd) => [
      ...mounts,
      '--ro-bind',
      pfs,
      '/pfs',
      '--bind',
      join(pfs, 'out'),
      '/pfs/out',
      '--unshare-pid',
      '--die-with-parent',
      '--chdir',
      cwd,
      '--',
    ],
  }
  const folder = await mkdtemp(join(tmpdir(), 'varve-probe-'))
  try {
    await mkdir(join(folder, 'out'))
    await writeFile(join(folder, 'in'), '')
    const script = 'test -f /pfs/in && ! (: > /pfs/in) 2>/dev/null && : > /pfs/out/x'
    let said = ''
    const exit = await spawner.run(
      {
        file,
        args: [...sandbox.args(folder, '/'), '/bin/sh', '-c', script],
        env: { PATH: path },
        cwd: '/',
        stdin: undefined,
        timeoutMs: 10_000,
      },
      ({ text }) => (said ||= text),
      new AbortController().signal,
    )
    if (exit.code !== 0) return { missing: `bubblewrap does not work here: ${said || 'no reason'}` }
    await access(join(folder, 'out', 'x'))
    return sandbox
  } catch (error) {
    return { missing: `bubblewrap does not work here: ${(error as Error).message}` }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Everything at the root as it is, on a fresh root, so that /pfs needs no folder on the real one. */
async function rootMounts(): Promise<string[]> {
  const args: string[] = []
  for (const entry of await readdir('/', { withFileTypes: true })) {
    const path = `/${entry.name}`
    if (entry.name === 'pfs' || entry.name === 'proc' || entry.name === 'dev') continue
    if (entry.isSymbolicLink()) args.push('--symlink', await readlink(path), path)
    else if (entry.isDirectory()) args.push('--bind-try', path, path)
  }
  return [...args, '--dev-bind', '/dev', '/dev', '--proc', '/proc']
}

/** The file a command means: as it is with a slash, else the first executable of that name in PATH. */
export async function inPath(command: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    const file = join(folder || '.', command)
    if (await executable(file)) return file
  }
  return undefined
}

export async function executable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}
