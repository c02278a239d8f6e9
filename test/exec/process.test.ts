import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ProcessRunner } from '../../src/exec/adapters/process/runner.ts'
import { DiskScratch } from '../../src/exec/adapters/process/scratch.ts'
import { LineCutter } from '../../src/exec/adapters/process/lines.ts'
import { utf8 } from '../../src/base/bytes.ts'
import { runnerContract } from '../contract/runner.ts'

const PATH = process.env['PATH'] ?? '/usr/bin:/bin'
const SCRIPTS = {
  'upper.sh': 'tr a-z A-Z < ${PFS_ROOT:-/pfs}/in/a > ${PFS_ROOT:-/pfs}/out/a\n',
  'fail.sh': 'echo one; echo bad >&2; echo two; exit 7\n',
  'hang.sh': 'echo started; sleep 1000 & sleep 1000\n',
  'env.sh': 'echo "$GREETING"; echo "${HOME:-none}"\n',
}

for (const sandbox of [false, true])
  runnerContract(`process, sandbox ${sandbox}`, async () => {
    const root = await mkdtemp(join(tmpdir(), 'varve-exec-'))
    for (const [name, text] of Object.entries(SCRIPTS)) await writeFile(join(root, name), text)
    const runner = await ProcessRunner.open({ codeRoot: root, path: PATH, sandbox })
    return {
      runner,
      scratch: new DiskScratch({ root: join(root, 'scratch') }),
      cmd: {
        upper: ['sh', 'upper.sh'],
        fail: ['sh', 'fail.sh'],
        hang: ['sh', 'hang.sh'],
        env: ['sh', 'env.sh'],
        missing: ['no-such-program'],
      },
      edit: () => writeFile(join(root, 'upper.sh'), `${SCRIPTS['upper.sh']}exit 0\n`),
      close: async () => {
        await runner.close()
        await rm(root, { recursive: true, force: true })
      },
    }
  })

describe('process runner', () => {
  let root: string
  let runner: ProcessRunner
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'varve-exec-'))
    runner = await ProcessRunner.open({ codeRoot: root, path: PATH })
  })
  afterAll(async () => {
    await runner.close()
    await rm(root, { recursive: true, force: true })
  })

  test('touching a file is no edit; editing it, a file of a code glob or the program is', async () => {
    await mkdir(join(root, 'lib'))
    const files = {
      script: join(root, 'a.sh'),
      lib: join(root, 'lib/x.sh'),
      tool: join(root, 'tool'),
    }
    await writeFile(files.script, 'echo 1\n')
    await writeFile(files.lib, 'echo 2\n')
    await writeFile(files.tool, '#!/bin/sh\n')
    await chmod(files.tool, 0o755)
    const identify = (): Promise<string> =>
      runner.identify({ cmd: ['./tool', 'a.sh', '--flag'], code: ['lib/**'] })
    const seen = [await identify()]
    await utimes(files.script, new Date(), new Date())
    expect(await identify()).toBe(seen[0])
    for (const file of Object.values(files)) {
      await writeFile(file, `${await readFile(file, 'utf8')}# edited\n`)
      seen.push(await identify())
    }
    expect(new Set(seen).size).toBe(4)
    await expect(runner.identify({ cmd: ['./tool'], code: ['nothing/**'] })).rejects.toMatchObject({
      code: 'CODE_FAILED',
    })
  })

  test('what a program starts dies with it', async () => {
    const scratch = new DiskScratch({ root: join(root, 'scratch') })
    const pfs = await scratch.folder()
    await pfs.empty('out')
    const tick = join(root, 'tick')
    const script = `(while :; do echo x >> ${tick}; sleep 0.02; done) & sleep 0.2; exit 0`
    const request = {
      cmd: ['sh', '-c', script],
      stdin: undefined,
      env: {},
      cwd: undefined,
      pfs: pfs.path,
      limits: { timeoutMs: undefined },
    }
    const exit = await runner.run(request, () => {}, new AbortController().signal)
    expect(exit.code).toBe(0)
    const size = (await readFile(tick)).length
    expect(size).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect((await readFile(tick)).length).toBe(size)
    await pfs.close()
  })

  test('stdin is fed, also to a program that does not read it', async () => {
    const pfs = await new DiskScratch({ root: join(root, 'scratch') }).folder()
    await pfs.empty('out')
    const run = async (cmd: string[], stdin: Uint8Array): Promise<string[]> => {
      const lines: string[] = []
      const exit = await runner.run(
        { cmd, stdin, env: {}, cwd: undefined, pfs: pfs.path, limits: { timeoutMs: undefined } },
        ({ text }) => lines.push(text),
        new AbortController().signal,
      )
      expect(exit.code).toBe(0)
      return lines
    }
    expect(await run(['sh'], utf8('echo a\necho b\n'))).toEqual(['a', 'b'])
    expect(await run(['true'], new Uint8Array(1 << 20))).toEqual([])
    await pfs.close()
  })

  test('links are seen as what they point at below /pfs, wherever the folder lies', async () => {
    const pfs = await new DiskScratch({ root: join(root, 'scratch') }).folder()
    await pfs.empty('out')
    await pfs.write('in/a', utf8('x'))
    await symlink('/pfs/in/a', join(pfs.path, 'out/mounted'))
    await symlink(`${pfs.path}/in/a`, join(pfs.path, 'out/real'))
    await symlink('../in/a', join(pfs.path, 'out/relative'))
    await symlink('/etc/passwd', join(pfs.path, 'out/outside'))
    const targets = new Map<string, string | undefined>()
    for await (const entry of pfs.entries('out')) targets.set(entry.path, entry.target)
    expect(Object.fromEntries(targets)).toEqual({
      mounted: 'in/a',
      real: 'in/a',
      relative: 'in/a',
      outside: undefined,
    })
    await pfs.close()
  })
})

test('a line over 64 KiB is cut, and none is lost', () => {
  const cutter = new LineCutter()
  const text = `a\n${'b'.repeat(150_000)}\nc`
  const bytes = utf8(text)
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += 1000)
    lines.push(...cutter.take(bytes.slice(at, at + 1000)))
  lines.push(...cutter.end())
  expect(lines.map((line) => line.length)).toEqual([1, 65_536, 65_536, 150_000 - 131_072, 1])
})
