// The two containers of a worker's pod without Kubernetes: the code's is made by bubblewrap, with the
// runner as process 1 and nothing of this machine's but its programs; the agent is the test itself.
// Started again, it has the same volumes, as a container of a pod that was killed.

import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { IN_USER, PIPES } from '../../../src/exec/adapters/kubernetes/pod.ts'

const SCRIPT = resolve(import.meta.dirname, '../../../src/exec/adapters/kubernetes/runner.sh')

export class UserContainer {
  readonly root = mkdtempSync(join(tmpdir(), 'varve-pod-'))
  readonly pipes = join(this.root, 'pipes')
  readonly pfs = join(this.root, 'pfs')
  readonly out = join(this.root, 'out')
  /** Lies beside the inputs, as what is kept for other datums does. */
  readonly cache = join(this.root, 'cache')
  readonly #env: Readonly<Record<string, string>>
  #process: ChildProcess | undefined
  /** What the runner itself wrote: nothing, when all is well. */
  log = ''

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#env = env
    for (const folder of ['pipes', 'pfs/out', 'out', 'cache', 'tools', 'home', 'tmp', 'shm'])
      mkdirSync(join(this.root, folder), { recursive: true })
    copyFileSync('/bin/busybox', join(this.root, 'tools/busybox'))
    chmodSync(join(this.root, 'tools/busybox'), 0o111)
    copyFileSync(SCRIPT, join(this.root, 'tools/runner'))
    for (const pipe of PIPES)
      spawnSync('/bin/busybox', ['mkfifo', '-m', '0600', join(this.pipes, pipe)])
    this.start()
  }

  start(): void {
    const at = (name: string): string => join(this.root, name)
    const { pfs, out, tools, pipes, home } = IN_USER
    const options: readonly (readonly string[])[] = [
      ['--unshare-user', '--uid', '1000', '--gid', '1000', '--cap-drop', 'ALL'],
      ['--unshare-pid', '--as-pid-1', '--unshare-ipc', '--die-with-parent'],
      ['--ro-bind', '/usr', '/usr', '--symlink', 'usr/bin', '/bin'],
      ['--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64'],
      ['--proc', '/proc', '--dev', '/dev'],
      ['--bind', at('tmp'), '/tmp', '--bind', at('shm'), '/dev/shm', '--bind', at('home'), home],
      ['--ro-bind', at('tools'), tools, '--ro-bind', at('pipes'), pipes],
      ['--ro-bind', at('pfs'), pfs, '--bind', at('out'), out],
      ['--clearenv', '--setenv', 'PATH', '/usr/bin'],
      ...Object.entries(this.#env).map(([name, value]) => ['--setenv', name, value]),
      ['--', `${tools}/busybox`, 'sh', `${tools}/runner`, pipes, out],
    ]
    const args = options.flat()
    const process = spawn('bwrap', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [process.stdout, process.stderr])
      stream.on('data', (bytes: Buffer) => (this.log += bytes.toString()))
    this.#process = process
  }

  /** Ends process 1 of it, and so everything in it. */
  async kill(): Promise<void> {
    const process = this.#process
    this.#process = undefined
    if (!process || process.exitCode !== null || process.signalCode !== null) return
    const exited = once(process, 'exit')
    process.kill('SIGKILL')
    await exited
  }

  /** Until the runner ended by itself. */
  async ended(): Promise<void> {
    const process = this.#process
    if (process && process.exitCode === null && process.signalCode === null)
      await once(process, 'exit')
  }

  /** The command lines of all that runs in it. */
  processes(): string[] {
    const [runner = ''] = children(this.#process?.pid)
    return [runner, ...descendants(runner)].map((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(),
    )
  }

  async close(): Promise<void> {
    await this.kill()
    spawnSync('chmod', ['-R', 'u+rwx', this.root])
    rmSync(this.root, { recursive: true, force: true })
  }
}

function children(pid: number | string | undefined): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
}

function descendants(pid: string): string[] {
  return children(pid).flatMap((child) => [child, ...descendants(child)])
}
