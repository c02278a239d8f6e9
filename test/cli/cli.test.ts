import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Id } from '../../src/model/id.ts'
import type { Op } from '../../src/model/ops.ts'
import { makeTreeRef } from '../../src/model/tree-ref.ts'
import { makeWorld, TOKEN } from '../server/world.ts'
import type { World } from '../server/world.ts'
import { runAgainst } from './run.ts'
import type { Ran, RunOptions } from './run.ts'

let world: World
const cwd = mkdtempSync(join(tmpdir(), 'varve-cli-'))

beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

const varve = (args: string, how: RunOptions = {}): Promise<Ran> =>
  runAgainst(world, args, { cwd, ...how })

test('a first session: a repo, files in and out, what changed, what is there', async () => {
  expect(await varve('repo create images')).toMatchObject({ code: 0, out: '' })
  expect((await varve('file put images@master:/hello -f -', { stdin: 'hello' })).code).toBe(0)
  expect(await varve('file get images@master:/hello')).toEqual({ code: 0, out: 'hello', err: '' })
  mkdirSync(join(cwd, 'tree/a'), { recursive: true })
  writeFileSync(join(cwd, 'tree/a/one'), '1')
  writeFileSync(join(cwd, 'tree/two'), '22')
  symlinkSync('/etc/passwd', join(cwd, 'tree/link'))
  const put = await varve('file put images:/dir -r -f tree -m second')
  expect(put.code).toBe(0)
  expect(put.err).toContain('left out "link"')
  expect((await varve('file ls images:/dir -o name')).out).toBe('/dir/a/\n/dir/two\n')
  const diff = JSON.parse((await varve('file diff images -o json')).out) as { path: string }[]
  expect(diff.map((one) => one.path)).toEqual(['dir/a/one', 'dir/two'])
  expect((await varve('file get images -r --to back')).code).toBe(0)
  expect(readFileSync(join(cwd, 'back/dir/two'), 'utf8')).toBe('22')
  const glob = await varve('file glob images /**/one -o name')
  expect(glob.out).toBe('/dir/a/one\n')
  expect((await varve('file rm images:/dir/two')).code).toBe(0)
  expect((await varve('file get images:/dir/two')).code).toBe(3)
  expect((await varve('file get images@master^:/dir/two')).out).toBe('22')
})

test('tables are aligned and plain when nobody looks; formats carry the same rows', async () => {
  const text = (await varve('commit list images')).out
  const lines = text.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^ID +BRANCH +STATE +FILES +SIZE +AGE +FROM +MESSAGE$/)
  const at = lines[0]?.indexOf('STATE')
  for (const line of lines.slice(1)) expect(line.slice(at)).toMatch(/^✓ finished /)
  expect(text).not.toContain('\u001b')
  expect((await varve('commit list images --color always')).out).toContain('\u001b[32m✓ finished')
  const rows = JSON.parse((await varve('commit list images -o json')).out) as { id: string }[]
  const jsonl = (await varve('commit list images -o jsonl')).out.trimEnd().split('\n')
  expect(jsonl.map((line) => JSON.parse(line) as unknown)).toEqual(rows)
  const yaml = (await varve('commit list images -o yaml')).out
  expect(yaml.match(/^- repo: images$/gm)).toHaveLength(rows.length)
  const names = (await varve('commit list images -o name')).out.trimEnd().split('\n')
  expect(names).toEqual(rows.map(({ id }) => `images@master=${id}`))
  for (const name of names) expect((await varve(`commit inspect ${name}`)).code).toBe(0)
})

test('errors say what, why and what to try, with the exit codes scripts rely on', async () => {
  const misspelt = await varve('repo inspect imges')
  expect(misspelt).toEqual({
    code: 3,
    out: '',
    err:
      'error: cannot find the repo "imges"; did you mean "images"? (NOT_FOUND_REPO)\n' +
      'try: check the repo; varve repo list shows what exists\n',
  })
  const again = await varve('repo create images -o json')
  expect(again.code).toBe(4)
  expect(JSON.parse(again.err)).toMatchObject({ error: { code: 'ALREADY_EXISTS' } })
  const command = await varve('rpo list')
  expect(command).toMatchObject({ code: 2, out: '' })
  expect(command.err).toContain('Did you mean repo?')
  expect((await varve('repo list --limt 3')).code).toBe(2)
  expect((await varve('file get images@@')).code).toBe(2)
  const env = { VARVE_SERVER: 'http://127.0.0.1:1', VARVE_TOKEN: 'x' }
  expect(await varve('repo list', { env })).toMatchObject({ code: 5 })
  const wrong = { VARVE_SERVER: world.url, VARVE_TOKEN: 'wrong' }
  expect((await varve('repo list', { env: wrong })).err).toContain('UNAUTHENTICATED')
})

test('the server is found by the nearest .varve above, and its token goes to no other', async () => {
  const home = mkdtempSync(join(tmpdir(), 'varve-home-'))
  mkdirSync(join(home, '.varve'))
  mkdirSync(join(home, 'deep/er'), { recursive: true })
  writeFileSync(join(home, '.varve/server.json'), JSON.stringify({ url: world.url, pid: 1 }))
  writeFileSync(join(home, '.varve/token'), `${TOKEN}\n`)
  const inside = { env: {}, cwd: join(home, 'deep/er') }
  expect((await varve('repo list -o name', inside)).out).toBe('images\n')
  const elsewhere = await varve(
    `repo list --server ${world.url.replace('127.0.0.1', 'localhost')}`,
    inside,
  )
  expect(elsewhere.err).toContain('UNAUTHENTICATED')
  const nowhere = await varve('repo list', { env: {}, cwd: tmpdir() })
  expect(nowhere.code).toBe(5)
  expect(nowhere.err).toContain('npm start')
})

test('waiting ends with the commit, or with 124 when the time is over', async () => {
  const id = (await varve('commit start images@other')).out.trim()
  expect((await varve(`commit wait images@${id} --timeout 10ms`)).code).toBe(124)
  const waiting = varve(`commit wait images@${id} --timeout 60s`)
  expect((await varve('commit finish images@other')).code).toBe(0)
  expect((await waiting).code).toBe(0)
})

test('what runs without end is there as soon as it runs: nobody waits for its end', async () => {
  const { versions, ids } = world
  const propose = (op: Op) =>
    versions.propose('default', [op], { id: ids(), principal: 'user:test' })
  const pipeline = { name: 'mail', inputs: [], outputBranch: 'runs', backlog: 'latest' } as const
  await propose({ op: 'pipeline.put', pipeline: { ...pipeline, spec: { spout: {} } } })
  expect((await varve('commit wait mail@runs --timeout 10ms')).code).toBe(124)
  const waiting = varve('commit wait mail@runs --timeout 60s')
  const [{ id }] = (await varve('commit list mail -o json').then(({ out }) => JSON.parse(out))) as [
    { id: Id },
  ]
  const commit = { repo: 'mail', branch: 'runs', id }
  const plan = makeTreeRef('a'.repeat(64), { pack: 'p', offset: 0, length: 1 })
  const planned = { run: 1, reuse: 0, total: 1 }
  const start = {
    commit,
    plan,
    planned,
    chunks: 1,
    codeKey: 'b'.repeat(64),
    standing: true,
  } as const
  await propose({ op: 'job.started', ...start })
  expect(await waiting).toMatchObject({
    code: 0,
    err: expect.stringMatching(/mail@runs .*running/),
  })
  expect(await varve('job wait mail')).toMatchObject({ code: 0 })
  const { out } = await varve('job inspect mail')
  expect(out).toMatch(/runs +without end/)
  expect(out).not.toContain('datums')
  const { nodes } = await world.client.call('GET /projects/:project/graph', {
    params: { project: 'default' },
  })
  expect(nodes.find(({ key }) => key === 'pipeline:mail')).toMatchObject({
    state: 'running',
    line: 'without end',
    progress: null,
  })

  await propose({ op: 'job.stop', commit })
  expect((await varve('job wait mail --timeout 10ms')).code).toBe(124)
  const counts = { total: 1, ran: 0, reused: 0, failed: 0, recovered: 0, codeChanged: 0 }
  const none = { root: null, stats: null, datumTree: null, ownerTree: null, counts, cause: null }
  await propose({ op: 'job.finished', commit, plan, state: 'stopped', ...none })
  expect((await varve('job wait mail')).code).toBe(1)
})

test('an open commit can be deleted with what was put into it, a finished one cannot', async () => {
  const id = (await varve('commit start images@draft')).out.trim()
  expect((await varve('file put images@draft:/given-up -f -', { stdin: 'x' })).code).toBe(0)
  expect((await varve('commit start images@draft')).err).toContain('is open there')
  const deleted = await varve('commit delete images@draft')
  expect([deleted.code, deleted.err]).toEqual([0, expect.stringContaining('images@draft')])
  const gone = JSON.parse((await varve(`commit inspect images@${id} -o json`)).out) as object
  expect(gone).toMatchObject({ state: 'stopped', files: null })
  const waited = await varve(`commit wait images@${id}`)
  expect([waited.code, waited.err]).toEqual([1, expect.stringContaining('deleted')])
  expect((await varve('commit start images@draft')).code).toBe(0)
  expect((await varve('commit finish images@draft')).code).toBe(0)
  const kept = await varve('commit delete images@draft')
  expect([kept.code, kept.err]).toEqual([4, expect.stringContaining('history is not rewritten')])
})

test('a name cannot write to the terminal', async () => {
  await varve('file put images:/bad\u001b[2Jname -f -', { stdin: 'x' })
  const listed = await varve('file ls images')
  expect(listed.out).toContain('bad')
  expect(listed.out).not.toContain('\u001b')
})
