// Workers in processes of their own, as an operator starts and loses them.
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ENTRY, Product, ROOT, cli } from './product.ts'

const NODE = join(ROOT, 'node_modules/.bin/node')
const DATUMS = 210

/** `varve work`, with a scratch folder of its own. */
class Worker {
  readonly scratch = mkdtempSync(join(tmpdir(), 'varve-worker-'))
  readonly #child: ChildProcess
  readonly ended: Promise<number | null>
  output = ''

  constructor(server: string, token: string) {
    const env = { ...process.env, VARVE_SERVER: server, VARVE_WORKER_TOKEN: token }
    const args = [ENTRY, 'work', '--workers', '1', '--scratch', this.scratch]
    this.#child = spawn(NODE, args, { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)))
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    return this.ended
  }
}

let product: Product
let folder: string
const workers: Worker[] = []
const hire = (token: string): Worker => {
  const worker = new Worker(product.url, token)
  workers.push(worker)
  return worker
}
beforeAll(async () => {
  product = await Product.start({ args: ['--workers', '0'] })
  folder = mkdtempSync(join(tmpdir(), 'varve-work-'))
})
afterAll(async () => {
  for (const worker of workers) {
    await worker.end('SIGKILL')
    rmSync(worker.scratch, { recursive: true, force: true })
  }
  await product[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

test('two workers elsewhere do all of it; one is killed in the middle, and nothing is doubled', async () => {
  const token = (await product.varve(['worker-token'])).trim()
  const files = join(folder, 'files')
  const marks = join(folder, 'marks')
  for (const each of [files, marks]) mkdirSync(each)
  for (let i = 0; i < DATUMS; i++) writeFileSync(join(files, `f${i}`), `line ${i}\n`)
  // The first to meet f7 says so, and waits until it is killed; whoever comes after goes on.
  const code = [
    'cd "${PFS_ROOT:-/pfs}/in" && for f in *; do',
    `  if [ $f = f7 ] && mkdir ${marks}/met; then echo $PPID > ${marks}/waiting; sleep 600; fi`,
    '  tr a-z A-Z < $f > ../out/$f && echo "did $f"',
    'done',
  ]
  const spec = {
    pipeline: { name: 'upper' },
    input: { pfs: { repo: 'in', glob: '/*' } },
    transform: { cmd: ['/bin/sh'], stdin: code },
    datumSetSpec: { number: 10 },
  }
  await product.varve(['repo', 'create', 'in'])
  await product.varve(['apply', '-f', '-'], JSON.stringify(spec))
  await product.varve(['file', 'put', 'in@master:/', '-r', '-f', files])
  const first = hire(token)
  await expect.poll(() => readdirSync(marks), { timeout: 60_000 }).toContain('waiting')
  hire(token)
  await first.end('SIGKILL')

  const wait = await product.cli(['commit', 'wait', 'upper@master', '--timeout', '2m'])
  expect(wait.stderr + wait.stdout).toContain('finished')
  const got = join(folder, 'got')
  await product.varve(['file', 'get', 'upper@master:/', '-r', '--to', got])
  const output = Object.fromEntries(
    readdirSync(got).map((name) => [name, readFileSync(join(got, name), 'utf8')]),
  )
  const expected: Record<string, string> = {}
  for (let i = 0; i < DATUMS; i++) expected[`f${i}`] = `LINE ${i}\n`
  expect(output).toEqual(expected)
  const jobs = JSON.parse(await product.varve(['job', 'list', 'upper', '-o', 'json'])) as unknown
  expect(jobs).toMatchObject([{ state: 'finished' }])
  const datums = (await product.varve(['datum', 'list', 'upper', '-o', 'jsonl'])).trim().split('\n')
  expect(datums).toHaveLength(DATUMS)
  for (const datum of datums)
    expect(JSON.parse(datum)).toMatchObject({ state: 'success', attempts: 1 })
}, 240_000)

test('a server that dies and comes back is waited for; the job goes on', async () => {
  const slow = {
    pipeline: { name: 'slow' },
    input: { pfs: { repo: 'in', glob: '/f1*' } },
    transform: {
      cmd: ['/bin/sh', '-c', 'sleep 0.05; cp -r "${PFS_ROOT:-/pfs}/in/." "${PFS_ROOT:-/pfs}/out/"'],
    },
    datumSetSpec: { number: 8 },
  }
  await product.varve(['apply', '-f', '-'], JSON.stringify(slow))
  const running = async (): Promise<boolean> =>
    (await product.varve(['job', 'list', 'slow', '-o', 'jsonl'])).includes('running')
  await expect.poll(running, { timeout: 60_000 }).toBe(true)
  const { port } = new URL(product.url)
  await product.kill('SIGKILL')
  await product.start(['--workers', '0', '--port', port])
  const wait = await product.cli(['commit', 'wait', 'slow@master', '--timeout', '2m'])
  expect(wait.stderr + wait.stdout).toContain('finished')
  const names = (await product.varve(['file', 'ls', 'slow@master:/', '-o', 'name']))
    .trim()
    .split('\n')
  expect(names).toHaveLength(
    Array.from({ length: DATUMS }, (_, i) => `f${i}`).filter((name) => name.startsWith('f1'))
      .length,
  )
}, 240_000)

test('stopped in an orderly way a worker gives back what it has and leaves nothing behind', async () => {
  const worker = workers.at(-1)
  expect(await worker?.end('SIGTERM')).toBe(0)
  expect(readdirSync(worker?.scratch ?? '')).toEqual([])
})

test('a token of another pool, or none at all, ends the process with the reason', async () => {
  const token = (await product.varve(['worker-token', '--pool', 'gpu', '--ttl', '1h'])).trim()
  const env = { VARVE_SERVER: product.url, VARVE_WORKER_TOKEN: token }
  const refused = await cli(['work', '--workers', '1'], { env })
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/pool "default".*"gpu"/)
  expect(refused.stderr).not.toContain(token)
  const forged = await cli(['work', '--workers', '1', '--token', `${token}x`], { env })
  expect(forged.stderr).toContain('UNAUTHENTICATED')
  expect((await cli(['work', '--server', product.url])).code).toBe(2)
})
