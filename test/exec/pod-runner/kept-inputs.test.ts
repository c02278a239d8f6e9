// What a pod's agent keeps of inputs: laid out again it costs nobody a byte, and it is what it was.

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Claim } from '../../../src/api/worker.ts'
import { utf8 } from '../../../src/base/bytes.ts'
import { KeptInputs } from '../../../src/exec/adapters/kubernetes/kept-inputs.ts'
import { PodRunner } from '../../../src/exec/adapters/kubernetes/pod-runner.ts'
import { PodScratch } from '../../../src/exec/adapters/kubernetes/pod-scratch.ts'
import type { ScratchFolder } from '../../../src/exec/scratch.ts'
import type { DatumPiece, PlannedDatum } from '../../../src/model/datum.ts'
import { Layout } from '../../../src/worker/layout.ts'
import { missingTools } from '../../services/need.ts'
import { OneChunk } from '../../worker/one-chunk.ts'
import { UserContainer } from './container.ts'

const KIB = 1024
const digestOf = (n: number): string => n.toString(16).padStart(64, '0')

let root: string
let nowMs: number
const clock = { monotonicMs: () => nowMs }
const at = (...parts: string[]): string => join(root, ...parts)
const keeping = (budgetBytes: number) => ({ folder: at('cache'), budgetBytes, clock })
const scratch = (budgetBytes: number): Promise<ScratchFolder> =>
  new PodScratch({ pfs: at('pfs'), out: at('out') }, keeping(budgetBytes)).folder()

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'varve-kept-'))
  for (const name of ['pfs/out', 'out', 'cache/left']) mkdirSync(at(name), { recursive: true })
  nowMs = 0
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

test('what was written is laid out again as a link, also elsewhere, and what is written over it is apart', async () => {
  const folder = await scratch(KIB ** 2)
  expect(readdirSync(at('cache'))).toEqual([])
  expect(await folder.layKept?.('in/a', digestOf(1))).toBe(false)
  await folder.write('in/a', utf8('one'), digestOf(1))
  await folder.remove('in')
  for (const path of ['in/a', 'other/b', 'in/a'])
    expect(await folder.layKept?.(path, digestOf(1))).toBe(true)
  expect(statSync(at('pfs/in/a')).ino).toBe(statSync(at('pfs/other/b')).ino)
  // One of the links gives way: neither what is kept nor the other may change.
  await folder.write('in/a', utf8('two'), digestOf(2))
  expect(await folder.layKept?.('in/c', digestOf(1))).toBe(true)
  const texts = ['in/a', 'other/b', 'in/c'].map((path) => readFileSync(at('pfs', path), 'utf8'))
  expect(texts).toEqual(['two', 'one', 'one'])
  await folder.close()
  expect(readdirSync(at('cache'))).toEqual([])
})

test('a file that did not come whole is not kept', async () => {
  const folder = await scratch(KIB ** 2)
  async function* cut(): AsyncIterable<Uint8Array> {
    yield utf8('on')
    await Promise.resolve()
    throw new Error('server away')
  }
  await expect(folder.write('in/a', cut(), digestOf(1))).rejects.toThrow('server away')
  expect(await folder.layKept?.('in/a', digestOf(1))).toBe(false)
})

test('the budget holds, and the one used longest ago goes', async () => {
  const folder = await scratch(12 * KIB)
  const write = (n: number, bytes: number) =>
    folder.write(`in/${n}`, new Uint8Array(bytes), digestOf(n))
  await write(1, 1)
  await write(2, 4 * KIB)
  await write(3, 100)
  expect(await folder.layKept?.('in/1', digestOf(1))).toBe(true)
  await write(4, 4 * KIB)
  expect(readdirSync(at('cache')).toSorted()).toEqual([1, 3, 4].map(digestOf))
  // Too big for all of it: nothing goes for its sake.
  await write(5, 12 * KIB + 1)
  expect(readdirSync(at('cache')).toSorted()).toEqual([1, 3, 4].map(digestOf))
  await write(6, 12 * KIB)
  expect(readdirSync(at('cache'))).toEqual([digestOf(6)])
})

test('with no budget nothing is kept', async () => {
  const folder = await scratch(0)
  await folder.write('in/a', utf8(''), digestOf(1))
  expect(await folder.layKept?.('in/a', digestOf(1))).toBe(false)
})

test('an hour after it came it is fetched again, however often it was used', async () => {
  const kept = new KeptInputs(keeping(KIB ** 2))
  await kept.clear()
  const folder = await scratch(0)
  await folder.write('in/a', utf8('x'))
  await kept.keep(digestOf(1), at('pfs/in/a'))
  nowMs = 3_599_999
  expect(await kept.lay(digestOf(1), at('pfs/in/b'))).toBe(true)
  nowMs++
  expect(await kept.lay(digestOf(1), at('pfs/in/c'))).toBe(false)
  expect(readdirSync(at('cache'))).toEqual([])
})

test('a cross of files, and a folder of which one file changed, cost each content once', async () => {
  const api = new OneChunk([])
  const passed: string[] = []
  const passing = Object.assign(api, {
    pass: (_claim: Claim, _input: string, path: string) => void passed.push(path),
    async *files() {
      yield { path: 'd/x', sizeBytes: 1, digest: digestOf(1) }
      yield { path: 'd/y', sizeBytes: 1, digest: digestOf(9) }
      yield { path: 'd/z', sizeBytes: 1 }
    },
  })
  const folder = await scratch(KIB ** 2)
  const layout = new Layout({ api: passing, folder, readOnly: true })
  const file = (name: string, n: number): DatumPiece => {
    return { name, path: `f${n}`, kind: 'file', digest: digestOf(n), sizeBytes: 1 }
  }
  const datum = (...inputs: DatumPiece[]): PlannedDatum => {
    return { id: 'd', key: 'k', why: 'new', inputs }
  }
  for (const left of [1, 2])
    for (const right of [3, 4]) {
      await layout.lay(api.claimed, datum(file('l', left), file('r', right)), false)
      expect(readFileSync(at(`pfs/r/f${right}`), 'utf8')).toBe(`f${right}`)
    }
  expect(api.reads).toEqual(['f1', 'f3', 'f4', 'f2'])
  expect(passed).toEqual(['f3', 'f4'])
  const whole: DatumPiece = { name: 'in', path: 'd', kind: 'dir', digest: 'any', sizeBytes: 3 }
  await layout.lay(api.claimed, datum(whole), false)
  // The file without a digest, of an older server, is read as ever.
  expect(api.reads.slice(4).toSorted()).toEqual(['d/y', 'd/z'])
  expect(readFileSync(at('pfs/in/d/x'), 'utf8')).toBe('f1')
  // A second try trusts nothing.
  await layout.lay(api.claimed, datum(file('l', 1)), true)
  expect(api.reads.at(-1)).toBe('f1')
})

test.skipIf(missingTools('bwrap', 'busybox').length > 0)(
  'code under the real runner changes nothing of what is kept, whatever it does to its link',
  async () => {
    const container = new UserContainer()
    const never = new AbortController().signal
    const runner = await PodRunner.open(container, never)
    try {
      const kept = { ...keeping(KIB ** 2), folder: container.cache }
      const folder = await new PodScratch(container, kept).folder()
      await folder.write('in/a', utf8('as it was'), digestOf(1))
      const run = async (script: string): Promise<string[]> => {
        const lines: string[] = []
        const cmd = ['sh', '-c', script]
        const rest = { stdin: undefined, env: {}, cwd: undefined, pfs: '' }
        const request = { ...rest, cmd, limits: { timeoutMs: undefined } }
        const exit = await runner.run(request, ({ text }) => void lines.push(text), never)
        expect(exit.code).toBe(0)
        return lines.filter((line) => line !== '')
      }
      await run(`exec 2>/dev/null; cd /pfs
        echo mine > in/a; chmod 777 in/a; truncate -s 0 in/a; rm in/a; touch in/a
        ln in/a out/a; cp -l in/a out/b; mv in/a out/c; echo mine > out/a; exit 0`)
      await folder.empty('out')
      await folder.remove('in')
      expect(await folder.layKept?.('in/again', digestOf(1))).toBe(true)
      expect(await run('cat /pfs/in/again; echo; stat -c %h /pfs/in/again')).toEqual([
        'as it was',
        '2',
      ])
    } finally {
      await runner.close()
      await container.close()
    }
  },
)
