// Everything in the data folder of an embedded server that does not run, examined and never
// written to: its log, its rows, every stored byte. Rows are made again in a temporary folder.

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Check } from '../base/check.ts'
import { systemClock as clock } from '../base/clock.ts'
import { systemRandom as random } from '../base/random.ts'
import { DiskBlobStore } from '../blob/adapters/disk.ts'
import { MemoryBus } from '../bus/adapters/memory.ts'
import { checkLog } from '../log/check-log.ts'
import { SYSTEM_PROJECT } from '../model/name.ts'
import type { Fact } from '../model/ops.ts'
import type { Finding } from '../objects/upkeep/verify-report.ts'
import type { NamedRoot } from '../objects/upkeep/verify.ts'
import { SqliteTables } from '../tables/adapters/sqlite.ts'
import { namedRoots } from '../versions/named-roots.ts'
import { projectEntries } from '../versions/project.ts'
import { openHash, zstdCompute } from './compute.ts'
import { openCore } from './core.ts'
import type { Core, Ports } from './core.ts'
import { openDataFolderToRead } from './data-folder.ts'
import { otherRootsOf } from './other-roots.ts'
import { EMBEDDED_TABLES } from './tables.ts'

/** @throws VarveError INVALID_OPTION, DATA_IN_USE, UNAVAILABLE */
export async function* checkFolder(data: string, signal: AbortSignal): AsyncGenerator<Check> {
  await using opened = new AsyncDisposableStack()
  const folder = await openDataFolderToRead(data)
  opened.defer(() => folder.release())
  const tables = SqliteTables.openToRead(folder.tablesFile, EMBEDDED_TABLES)
  opened.defer(() => tables.close())
  const ports: Ports = {
    tables,
    blob: DiskBlobStore.openToRead(folder.blobsFolder),
    bus: new MemoryBus({ clock }),
    clock,
    random,
    hash: await openHash(),
    compute: zstdCompute,
    storeKey: folder.storeKey,
  }
  const core = await openCore(ports)
  opened.defer(() => core.close())
  const scratch = await mkdtemp(join(tmpdir(), 'varve-fsck-'))
  opened.defer(() => rm(scratch, { recursive: true, force: true }))
  const made = await SqliteTables.open(join(scratch, 'tables.sqlite'), EMBEDDED_TABLES)
  opened.defer(() => made.close())

  const projects = [SYSTEM_PROJECT]
  for await (const { name } of core.versions.projects()) projects.push(name)
  for (const project of projects)
    yield* checkLog<Fact>(
      { guests: ports, machine: { project: projectEntries }, project, made },
      signal,
    )
  yield* checkObjects(ports, core, signal)
  yield await temporaryFiles(join(folder.blobsFolder, 'tmp'))
}

async function* checkObjects(
  ports: Ports,
  { objects, versions }: Core,
  signal: AbortSignal,
): AsyncGenerator<Check> {
  const others = otherRootsOf(ports, versions)
  const roots = async function* (): AsyncGenerator<NamedRoot> {
    yield* namedRoots(versions)
    yield* others(undefined)
  }
  for await (const finding of objects.verify({ roots, signal }))
    if (finding.kind !== 'progress') yield objectCheck(finding)
}

function objectCheck(finding: Exclude<Finding, { kind: 'progress' }>): Check {
  switch (finding.kind) {
    case 'pack': {
      const { key, state, faults, moreFaults } = finding
      const said = faults.map(({ why, offset }) =>
        offset === undefined ? why : `${why} (at ${offset})`,
      )
      if (moreFaults > 0) said.push(`and ${moreFaults} more`)
      return {
        what: `blobs/objects/${key}`,
        state: 'failed',
        found: state === 'missing' ? 'missing' : `damaged: ${said.join('; ')}`,
        remedy: `put the file back from a copy of the data folder`,
      }
    }
    case 'hurt':
      return {
        what: finding.path === '' ? finding.root : `${finding.root}:/${finding.path}`,
        state: 'failed',
        found: `cannot be read: ${finding.why}${finding.key === '' ? '' : ` (${finding.key})`}`,
        remedy:
          'put the pack back; where no copy has it, write the file again, or have its pipeline run again',
      }
    case 'done': {
      const { packs, bytes, nodes, chunks, damaged, missing, unneeded } = finding
      const bad = damaged + missing
      const spare = unneeded > 0 ? `; ${unneeded} packs that nothing needs` : ''
      const found = `${packs} packs, ${bytes} bytes, ${nodes} nodes, ${chunks} chunks read${spare}`
      if (bad === 0) return { what: 'stored bytes', state: 'ok', found }
      const remedy = 'see above, pack by pack'
      return { what: 'stored bytes', state: 'failed', found: `${found}; ${bad} not whole`, remedy }
    }
  }
}

async function temporaryFiles(folder: string): Promise<Check> {
  const left = await readdir(folder).catch(() => [])
  const what = 'half-written files'
  if (left.length === 0) return { what, state: 'ok', found: 'none' }
  const remedy = 'nothing: the next start takes them away'
  return { what, state: 'warning', found: `${left.length} in blobs/tmp, of a crash`, remedy }
}
