// The command line as a person meets it: the real program, in processes of its own.

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const MAIN = join(import.meta.dirname, '../../src/main/varve.mjs')
const home = mkdtempSync(join(tmpdir(), 'varve-e2e-'))
let server: ChildProcess

function start(...args: string[]): ChildProcess {
  const env = { PATH: process.env['PATH'], HOME: home }
  return spawn(process.execPath, [MAIN, ...args], { cwd: home, env })
}

async function ended(child: ChildProcess): Promise<{ code: number; out: string; err: string }> {
  const text = { out: '', err: '' }
  child.stdout?.on('data', (chunk: Buffer) => (text.out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (text.err += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, ...text }
}

const varve = (...args: string[]) => ended(start(...args))

beforeAll(async () => {
  server = start('dev', '--port', '0')
  let said = ''
  server.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await new Promise<void>((resolve, reject) => {
    server.stdout?.once('data', () => resolve())
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}`)))
  })
})
afterAll(async () => {
  if (server.exitCode !== null) return
  server.kill('SIGTERM')
  await once(server, 'close')
})

test('a repo, a file, a pipeline, its result, and where it came from', async () => {
  expect((await varve('repo', 'create', 'words')).code).toBe(0)
  writeFileSync(join(home, 'a.txt'), 'three small words\n')
  expect((await varve('file', 'put', 'words', '-f', 'a.txt')).code).toBe(0)
  const spec = {
    pipeline: { name: 'count' },
    input: { pfs: { repo: 'words', glob: '/*' } },
    transform: {
      cmd: ['sh'],
      stdin: ['root=${PFS_ROOT:-/pfs}', 'wc -w < $root/words/a.txt > $root/out/a.txt'],
    },
  }
  writeFileSync(join(home, 'count.json'), JSON.stringify(spec))
  const applied = await varve('apply', '-f', 'count.json')
  expect(applied).toMatchObject({ code: 0, err: 'created pipeline count\n' })
  const waited = await varve('commit', 'wait', 'count@master', '--timeout', '60s')
  expect(waited).toMatchObject({ code: 0 })
  expect((await varve('file', 'get', 'count@master:/a.txt')).out.trim()).toBe('3')
  const explained = (await varve('explain', 'count@master:/a.txt')).out
  expect(explained).toMatch(/← datum .*\n.*← code .* of count version 1: sh\n.*← words@master=/)
  expect((await varve('explain', 'count')).out).toBe(explained)
  expect((await varve('apply', '-f', 'count.json', '--dry-run', '-o', 'json')).code).toBe(0)
})

test('Ctrl-C ends what follows with 130', async () => {
  const child = start('events', '--after', '0')
  const result = ended(child)
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  child.kill('SIGINT')
  expect((await result).code).toBe(130)
})

test('a program that stops reading ends the command quietly', async () => {
  const child = start('events', '--after', '0')
  const result = ended(child)
  child.stdout?.destroy()
  expect((await result).err).toBe('')
})

test('the token is readable by its owner alone and opens the API', async () => {
  const { url } = JSON.parse(readFileSync(join(home, '.varve/server.json'), 'utf8')) as {
    url: string
  }
  expect((await fetch(`${url}/api/v1/projects`)).status).toBe(401)
  const token = readFileSync(join(home, '.varve/token'), 'utf8').trim()
  const headers = { authorization: `Bearer ${token}` }
  expect((await fetch(`${url}/api/v1/projects`, { headers })).status).toBe(200)
  expect((await fetch(`${url}/livez`)).status).toBe(200)
})
