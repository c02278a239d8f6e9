// The agent's side of the folders it shares with the code: what lies in `out` is taken by what it is,
// and nothing else of the machine is read or touched, even while the code is at it.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { concat, fromUtf8, utf8 } from '../../../src/base/bytes.ts'
import { isVarveError } from '../../../src/base/errors.ts'
import { PodScratch } from '../../../src/exec/adapters/kubernetes/pod-scratch.ts'
import type { ScratchEntry, ScratchFolder } from '../../../src/exec/scratch.ts'

const SECRET = 'what only the agent may read'

describe('scratch space of a pod', () => {
  let root: string
  let out: string
  let folder: ScratchFolder
  const at = (...parts: string[]): string => join(root, ...parts)
  const sh = (script: string): void => {
    const { status, stderr } = spawnSync('sh', ['-c', script], { cwd: out, encoding: 'utf8' })
    expect(status, stderr).toBe(0)
  }
  const entries = async (): Promise<ScratchEntry[]> =>
    (await Array.fromAsync(folder.entries('out'))).toSorted((a, b) => (a.path < b.path ? -1 : 1))
  const text = async (path: string): Promise<string> =>
    fromUtf8(concat(await Array.fromAsync(folder.read(path))))

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'varve-scratch-'))
    out = at('out')
    for (const name of ['pfs/out', 'pfs/left', 'out/left', 'token'])
      mkdirSync(at(name), { recursive: true })
    writeFileSync(at('token/token'), SECRET)
    folder = await new PodScratch({ pfs: at('pfs'), out }).folder()
  })
  afterEach(() => {
    spawnSync('chmod', ['-R', 'u+rwx', root])
    rmSync(root, { recursive: true, force: true })
  })

  test('it begins empty, and its mounted folders stay', async () => {
    expect(readdirSync(at('pfs'))).toEqual(['out'])
    expect(readdirSync(out)).toEqual([])
    await folder.write('in/a/b', utf8('x'))
    await folder.empty('in/c')
    sh('mkdir -p d; echo y > d/e')
    expect(readFileSync(at('pfs/in/a/b'), 'utf8')).toBe('x')
    await folder.remove('in/a')
    expect(readdirSync(at('pfs/in'))).toEqual(['c'])
    await folder.close()
    expect(readdirSync(at('pfs'))).toEqual(['out'])
    expect(readdirSync(out)).toEqual([])
  })

  test('inputs are written among the inputs', async () => {
    for (const path of ['out/x', '../x', '/x', 'in/../../x', ''])
      await expect(folder.write(path, utf8('x'))).rejects.toThrow('not a path of an input')
  })

  test('everything is seen as what it is, whatever rights it was left with', async () => {
    const server = createServer().listen(join(out, 'socket'))
    await once(server, 'listening')
    sh(`mkdir -p a/b; echo one > a/b/f; echo two > g; mkfifo pipe; chmod 000 a/b/f a/b a
      ln -s /pfs/in/x mounted; ln -s ../../in/x a-relative; ln -s ../in/x relative
      ln -s ${at('token/token')} outside; ln -s g inside; ln -s . loop`)
    writeFileSync(Buffer.concat([Buffer.from(`${out}/`), Buffer.from([0x66, 0xff])]), 'x')
    const seen = await entries()
    server.close()
    expect(seen.map(({ path, kind, target }) => [path, kind, target ?? ''])).toEqual([
      ['a-relative', 'link', ''],
      ['a/b/f', 'file', ''],
      ['f\uFFFD', 'bad-name', ''],
      ['g', 'file', ''],
      ['inside', 'link', 'out/g'],
      ['loop', 'link', 'out'],
      ['mounted', 'link', 'in/x'],
      ['outside', 'link', ''],
      ['pipe', 'other', ''],
      ['relative', 'link', 'in/x'],
      ['socket', 'other', ''],
    ])
    expect(await text('out/a/b/f')).toBe('one\n')
    for (const path of [
      'out/outside',
      'out/inside',
      'out/loop/g',
      'out/pipe',
      'out/socket',
      'out/none',
    ])
      await expect(text(path), path).rejects.toMatchObject({ code: 'INVALID_PATH' })
  })

  test('a path too long for an output is a file of that name, not a walk without end', async () => {
    const name = 'n'.repeat(250)
    sh(`i=0; while [ $i -lt 40 ]; do mkdir ${name}; cd -P ${name}; i=$((i+1)); done; echo x > y`)
    const [entry] = await entries()
    expect(entry?.kind).toBe('file')
    expect(entry?.path.length).toBeGreaterThan(1_024)
    expect(entry?.path.length).toBeLessThan(2_048)
    await folder.empty('out')
    expect(readdirSync(out)).toEqual([])
  })

  test('emptied, nothing a link leads to is touched', async () => {
    symlinkSync(at('token'), join(out, 'folder'))
    sh(`mkdir -p a/b/c; ln -s ${at('token')} a/b/link; touch a/b/c/d; chmod 000 a/b/c a/b a .`)
    await folder.empty('out')
    expect(readdirSync(out)).toEqual([])
    expect(readFileSync(at('token/token'), 'utf8')).toBe(SECRET)
  })

  test('code that swaps a folder for a link while it is read and emptied gets nothing', async () => {
    // Renames are one system call each: at any moment one of the two is there.
    const swap = `const fs = require('node:fs')
      process.chdir(${JSON.stringify(out)})
      const quiet = (work) => { try { work() } catch {} }
      process.stdout.write('on')
      for (;;) {
        quiet(() => { fs.mkdirSync('dir'); fs.writeFileSync('dir/token', 'mine') })
        quiet(() => fs.writeFileSync('token', 'mine'))
        quiet(() => fs.renameSync('dir', 'away'))
        quiet(() => fs.symlinkSync(${JSON.stringify(at('token'))}, 'dir'))
        quiet(() => fs.rmSync('token'))
        quiet(() => fs.symlinkSync(${JSON.stringify(at('token/token'))}, 'token'))
        quiet(() => fs.unlinkSync('dir'))
        quiet(() => fs.renameSync('away', 'dir'))
        quiet(() => fs.unlinkSync('token'))
      }`
    const code = spawn(process.execPath, ['-e', swap])
    await once(code.stdout, 'data')
    const seen = new Set<string>()
    const refused = new Set<string>()
    const attempt = async (work: () => Promise<unknown>): Promise<void> => {
      try {
        const got = await work()
        if (typeof got === 'string') seen.add(got)
      } catch (error) {
        refused.add(isVarveError(error) ? error.code : String(error))
      }
    }
    // Until both a file of the code and a refusal were seen, and many times more.
    for (let i = 0; i < 2_000 || !seen.has('mine') || refused.size === 0; i++) {
      await attempt(() => text('out/dir/token'))
      await attempt(() => text('out/token'))
      if (i % 10 === 0) await attempt(entries)
      if (i % 50 === 0) await folder.empty('out')
    }
    code.kill('SIGKILL')
    await once(code, 'exit')
    // Between its making and its writing a file is empty.
    seen.delete('')
    expect([...seen]).toEqual(['mine'])
    expect([...refused]).toEqual(['INVALID_PATH'])
    expect(readFileSync(at('token/token'), 'utf8')).toBe(SECRET)
    await folder.empty('out')
    expect(readdirSync(out)).toEqual([])
  })
})
