// A bare git repository with the same files, made by fast-import: no work tree, no index, no more than
// git itself needs for objects and trees.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { noise, smallFile } from './disk.ts'
import { otherContent, PER_DIR, SMALL_BYTES } from './trees.ts'

const WHO = 'bench <bench@example.com> 1700000000 +0000'

export interface GitCommit {
  /** Changed or new, by number. Undefined: `files` new ones. */
  readonly changed?: readonly number[]
  readonly files?: number
}

/** Commits one after another on `master`; they are called master~n … master. */
export async function gitHistory(folder: string, commits: readonly GitCommit[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  await git(folder, ['init', '-q', '--bare', '-b', 'master', folder])
  const child = spawn('git', ['-C', folder, 'fast-import', '--quiet', '--done'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  const say = async (bytes: string | Uint8Array): Promise<void> => {
    if (!child.stdin.write(bytes)) await once(child.stdin, 'drain')
  }
  const other = otherContent()
  for (const { changed, files = 0 } of commits) {
    await say(`commit refs/heads/master\ncommitter ${WHO}\ndata 0\n\n`)
    const file = async (i: number, bytes: Uint8Array): Promise<void> => {
      await say(`M 100644 inline ${smallFile(i, PER_DIR)}\ndata ${bytes.length}\n`)
      await say(bytes)
      await say('\n')
    }
    for (const i of changed ?? []) await file(i, other())
    let i = 0
    for (const block of noise(files * SMALL_BYTES, 'small files'))
      for (let at = 0; at < block.length; at += SMALL_BYTES)
        await file(i++, block.subarray(at, at + SMALL_BYTES))
  }
  child.stdin.end('done\n')
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`git fast-import ended with ${code}`)
}

/** @returns milliseconds, the start of the process included */
export async function git(
  folder: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<number> {
  const start = performance.now()
  const child = spawn('git', args, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', ...env },
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${code}`)
  return performance.now() - start
}
