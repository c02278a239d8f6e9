import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileSink } from '../../connectors/file/sink.ts'
import { FileSource } from '../../connectors/file/source.ts'
import type { SinkBatch } from '../../src/connector/mod.ts'
import { context, readSome, sinkSuite, sourceSuite } from './kit.ts'

function scratch(): { folder: string; path: string; [Symbol.dispose](): void } {
  const folder = mkdtempSync(join(tmpdir(), 'varve-file-'))
  const path = join(folder, 'app.log')
  return { folder, path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

const source = (path: string): FileSource => new FileSource({ path, pollMs: 5 }, context)

sourceSuite('file', async () => {
  const { path, folder } = scratch()
  return {
    source: async () => source(path),
    append: async (values) => appendFileSync(path, values.map((value) => `${value}\n`).join('')),
    close: async () => rmSync(folder, { recursive: true }),
  }
})

sinkSuite('file', async () => {
  const { path, folder } = scratch()
  return {
    sink: async () => new FileSink({ path }),
    read: async () => readFileSync(path, 'utf8').split('\n').slice(0, -1),
    close: async () => rmSync(folder, { recursive: true }),
  }
})

test('a line counts once its newline is there', async () => {
  using at = scratch()
  writeFileSync(at.path, 'whole\nhal')
  const first = await readSome(source(at.path), {}, 1)
  expect(first.values).toEqual(['whole'])
  appendFileSync(at.path, 'f\n')
  const second = await readSome(source(at.path), { 'app.log': first.batches[0]?.to ?? '' }, 1)
  expect(second.values).toEqual(['half'])
})

test('a rotated file is read to its end before the new one, also when it was rotated unseen', async () => {
  using at = scratch()
  writeFileSync(at.path, '1\n2\n')
  const before = await readSome(source(at.path), {}, 2)
  appendFileSync(at.path, '3\n4')
  renameSync(at.path, `${at.path}.1`)
  writeFileSync(at.path, '5\n')
  const position = before.batches.at(-1)?.to ?? ''
  const after = await readSome(source(at.path), { 'app.log': position }, 3)
  expect(after.values).toEqual(['3', '4', '5'])
  // The ordinal goes on, so the files of both never have one name; and it resumes in the new one.
  const ordinals = after.batches.flatMap(({ records }) => records.map(({ ordinal }) => ordinal))
  expect(ordinals).toEqual([4, 6, 7])
  appendFileSync(at.path, '6\n')
  const resumed = await readSome(source(at.path), { 'app.log': after.batches.at(-1)?.to ?? '' }, 1)
  expect(resumed.values).toEqual(['6'])
})

test('rotated away and deleted, or cut short: a gap, never silence', async () => {
  using at = scratch()
  writeFileSync(at.path, '1\n2\n')
  const position = (await readSome(source(at.path), {}, 2)).batches.at(-1)?.to ?? ''
  truncateSync(at.path, 0)
  appendFileSync(at.path, 'x\n')
  const cut = await readSome(source(at.path), { 'app.log': position }, 1)
  expect(cut.trouble).toMatchObject({ kind: 'gap', part: 'app.log', from: position })

  // The old one is kept under another name outside, so that its inode is not used again.
  renameSync(at.path, `${at.folder}-gone`)
  writeFileSync(at.path, 'new\n')
  const gone = await readSome(source(at.path), { 'app.log': position }, 1)
  rmSync(`${at.folder}-gone`)
  expect(gone.trouble).toMatchObject({ kind: 'gap', from: position })
  const to = gone.trouble?.kind === 'gap' ? gone.trouble.to : ''
  const accepted = await readSome(source(at.path), { 'app.log': to }, 1)
  expect(accepted.values).toEqual(['new'])
  expect(accepted.batches[0]?.records[0]?.ordinal).toBe(4)
})

test('a folder is followed file by file, each a part; hidden and renamed files are not read', async () => {
  using at = scratch()
  writeFileSync(join(at.folder, 'b.log'), 'b1\n')
  writeFileSync(join(at.folder, 'a.log'), 'a1\n')
  writeFileSync(join(at.folder, '.tmp'), 'no\n')
  const files = source(at.folder)
  const stop = new AbortController()
  const seen: string[] = []
  for await (const item of files.open({}, stop.signal)) {
    if (item.kind !== 'batch') throw new Error(JSON.stringify(item))
    for (const { value } of item.records) seen.push(`${item.part}:${value?.toString()}`)
    if (seen.length === 2) {
      renameSync(join(at.folder, 'b.log'), join(at.folder, 'c.log'))
      writeFileSync(join(at.folder, 'd.log'), 'd1\n')
    }
    if (seen.length === 3) stop.abort()
  }
  await files.close()
  expect(seen).toEqual(['a.log:a1', 'b.log:b1', 'd.log:d1'])
})

test('a sink refuses a file that is shorter than what was delivered', async () => {
  using at = scratch()
  writeFileSync(at.path, 'a\n')
  const sink = new FileSink({ path: at.path })
  expect(await sink.open({ lengthBytes: 10 })).toMatchObject({ kind: 'fatal' })
  await sink.close()
})

test('two sinks on one file write the same bytes once; one that is cut back does not say done', async () => {
  using at = scratch()
  const a = new FileSink({ path: at.path })
  const b = new FileSink({ path: at.path })
  const batch = (...values: string[]): SinkBatch => ({
    commit: 'c',
    records: values.map((value) => ({ id: value, value: Buffer.from(value) })),
  })
  await a.open(null)
  await b.open(null)
  await a.write(batch('1', '2'))
  await b.write(batch('1', '2'))
  expect(await a.commit()).toMatchObject({ at: { lengthBytes: 4 } })
  await a.write(batch('3'))
  expect(readFileSync(at.path, 'utf8')).toBe('1\n2\n3\n')
  // The other one lost the race and opens where the first stood: what that wrote since is gone.
  await b.close()
  const again = new FileSink({ path: at.path })
  await again.open({ lengthBytes: 4 })
  expect(await a.commit()).toMatchObject({ kind: 'lost' })
  await again.write(batch('3'))
  expect(await again.commit()).toMatchObject({ at: { lengthBytes: 6 } })
  expect(readFileSync(at.path, 'utf8')).toBe('1\n2\n3\n')
  await a.close()
  await again.close()
})
