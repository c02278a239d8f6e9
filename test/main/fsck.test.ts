import { createHash } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Check } from '../../src/base/check.ts'
import { idSource } from '../../src/model/id.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { Journal } from '../../src/log/journal.ts'
import { encodeEntry } from '../../src/log/block.ts'
import { FIRST_GENERATION } from '../../src/log/tables.ts'
import { must } from '../../src/base/assert.ts'
import type { Commit } from '../../src/model/entities.ts'
import type { Fact } from '../../src/model/ops.ts'
import { openDataFolder } from '../../src/main/data-folder.ts'
import { openEmbeddedPorts } from '../../src/main/embedded-ports.ts'
import { checkFolder } from '../../src/main/check-folder.ts'
import { openEmbedded } from '../../src/main/embedded.ts'
import { noise, p } from '../objects/fixture.ts'

let root: string
let data: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'varve-fsck-test-'))
  data = join(root, 'data')
  const varve = await openEmbedded({ data, port: 0 })
  const ids = idSource(systemClock, systemRandom)
  const { versions } = varve
  const as = () => ({ id: ids(), principal: 'test' })
  await versions.propose('default', [{ op: 'repo.create', name: 'images' }], as())
  for (let i = 0; i < 5; i++)
    await versions.commitFiles(
      'default',
      { repo: 'images', branch: 'master' },
      async (writer) => {
        await writer.put(p(`dir/${i}`), noise(i, 20_000))
      },
      as(),
    )
  await varve.close()
}, 60_000)
afterAll(() => rm(root, { recursive: true, force: true }))

const examined = (): Promise<Check[]> =>
  Array.fromAsync(checkFolder(data, new AbortController().signal))
const failedOf = (checks: readonly Check[]): Check[] =>
  checks.filter(({ state }) => state === 'failed')

async function fingerprint(): Promise<string> {
  const sum = createHash('sha256')
  const files = await readdir(data, { recursive: true, withFileTypes: true })
  const paths = files
    .filter((file) => file.isFile() && !file.name.endsWith('-shm'))
    .map((file) => join(file.parentPath, file.name))
  for (const path of paths.toSorted()) sum.update(path).update(await readFile(path))
  return sum.digest('hex')
}

test('a sound folder is found so and stays as it is; a folder that is none is refused', async () => {
  const before = await fingerprint()
  const checks = await examined()
  expect(failedOf(checks)).toEqual([])
  expect(checks.map(({ what }) => what)).toEqual([
    'log of project "_system"',
    'log of project "default"',
    'heads of project "default"',
    'lineage of project "default"',
    'decisions of project "default"',
    'rows of project "default"',
    'stored bytes',
    'half-written files',
  ])
  expect(await fingerprint()).toBe(before)
  await expect(
    Array.fromAsync(checkFolder(join(root, 'nothing'), new AbortController().signal)),
  ).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  expect(await readdir(root)).toEqual(['data'])
})

test('a damaged pack is named with the files it hurts and what to do', async () => {
  const packs = join(data, 'blobs/objects/packs')
  const [name = ''] = (await readdir(packs)).toSorted()
  const good = await readFile(join(packs, name))
  await rm(join(packs, name))
  const gone = failedOf(await examined())
  expect(gone[0]).toMatchObject({ what: `blobs/objects/packs/${name}`, found: 'missing' })
  expect(gone.some(({ what }) => what.startsWith('default/images@master='))).toBe(true)
  expect(gone.every(({ remedy }) => remedy !== undefined)).toBe(true)
  const bad = new Uint8Array(good)
  bad[60] = (bad[60] as number) ^ 1
  await writeFile(join(packs, name), bad)
  expect(failedOf(await examined())[0]).toMatchObject({ what: `blobs/objects/packs/${name}` })
  await writeFile(join(packs, name), good)
  expect(failedOf(await examined())).toEqual([])
})

/** Does something to the database, has the folder examined, and takes it back. */
async function withChange(sql: string, undo: string): Promise<Check[]> {
  const run = (text: string): void => {
    const db = new DatabaseSync(join(data, 'tables.sqlite'))
    db.exec(text)
    db.close()
  }
  run(sql)
  try {
    return failedOf(await examined())
  } finally {
    run(undo)
  }
}

test('a row that is not what the log says is found, and so is a log whose chain does not hold', async () => {
  const rows = await withChange(
    `UPDATE commits SET value = replace(value, '"user"', '"auto"')`,
    `UPDATE commits SET value = replace(value, '"auto"', '"user"')`,
  )
  expect(rows).toHaveLength(1)
  expect(rows[0]).toMatchObject({ what: 'rows of project "default"' })
  expect(rows[0]?.found).toMatch(/^5 of \d+ differ from its log: commits /)
  expect(rows[0]?.remedy).toContain('varve rebuild default')

  const log = await withChange(
    `UPDATE log SET entries = replace(CAST(entries AS TEXT), 'images', 'imagez') WHERE first_seq = 1`,
    `UPDATE log SET entries = CAST(replace(CAST(entries AS TEXT), 'imagez', 'images') AS BLOB) WHERE first_seq = 1`,
  )
  expect(log[0]).toMatchObject({ what: 'log of project "default"' })
  expect(failedOf(await examined())).toEqual([])
})

/** What is found in a folder whose log goes on, by its own hashes, with facts that nobody decided. */
async function withFacts(forge: (newest: Commit) => readonly Fact[]): Promise<Check[]> {
  const copy = join(root, 'copy')
  await cp(data, copy, { recursive: true })
  try {
    const folder = await openDataFolder(copy)
    await using opened = new AsyncDisposableStack()
    opened.defer(() => folder.release())
    const ports = await openEmbeddedPorts(folder, opened)
    const journal = new Journal<Fact>(ports, 'default', FIRST_GENERATION)
    const head = await journal.head(journal.genesis())
    const last = await journal.entry(head.seq)
    const facts = 'yes' in last.decision ? last.decision.yes : []
    const newest = facts.flatMap((fact) => (fact.f === 'commit.finished' ? [fact.commit] : []))[0]
    const id = idSource(systemClock, systemRandom)()
    const decision = { yes: forge(must(newest, 'a commit')) }
    const entry = { ...last, id, seq: head.seq + 1, decision }
    const encoded = encodeEntry(entry, ports.hash, () => 'none')
    await journal.append(head, [encoded], new AbortController().signal)
    await opened.disposeAsync()
    return failedOf(await Array.fromAsync(checkFolder(copy, new AbortController().signal)))
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

test('a head that goes back by nobody, and lineage that is torn, are found though all hashes hold', async () => {
  const heads = await withFacts(({ repo, branch, id, root: tree, stats, parent }) => {
    const newest = { id, root: tree, stats, state: 'finished', sources: {} } as const
    const older = { ...newest, id: must(parent, 'a parent') }
    const value = { repo, branch, provenance: [], pipeline: null, epoch: 0 }
    return [{ f: 'branch.changed', branch: { ...value, tip: older, head: older } }]
  })
  expect(heads.map(({ what }) => what)).toEqual(['heads of project "default"'])
  expect(heads[0]?.found).toMatch(/^2 entries cannot be so: entry 7: the head of images@master bec/)
  expect(heads[0]?.remedy).toBeDefined()

  const lineage = await withFacts((commit) => {
    const { repo, branch, id, openedSeq } = commit
    const below = { repo, branch: 'below' }
    const seq = openedSeq + 1
    const made: Commit = {
      ...commit,
      ...below,
      origin: 'auto',
      state: 'queued',
      parent: null,
      root: null,
      stats: null,
      openedSeq: seq,
      endedSeq: null,
      endedAtMs: null,
      provenance: [{ repo, branch, id: must(commit.parent, 'a parent') }],
      sources: { 'images@master': id },
    }
    const tip = { id, root: null, stats: null, state: 'queued', sources: made.sources } as const
    const provenance = [{ repo, branch }]
    return [
      {
        f: 'branch.created',
        branch: { ...below, provenance, pipeline: null, tip, head: null, epoch: 0 },
      },
      { f: 'commit.opened', commit: { ...made, id: must(commit.parent, 'a parent') } },
    ]
  })
  expect(lineage.map(({ what }) => what)).toContain('lineage of project "default"')
  expect(lineage.find(({ what }) => what.startsWith('lineage'))?.found).toContain('the tip is')
})
