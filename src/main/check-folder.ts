// Everything in the data folder of an embedded server that does not run, examined and never
// written to: its log, its rows, every stored byte. Rows are made again in a temporary folder.

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Check } from '../base/check.ts'
import { checkLog } from '../log/check-log.ts'
import type { Entry } from '../log/machine.ts'
import { SYSTEM_PROJECT } from '../model/name.ts'
import type { Fact } from '../model/ops.ts'
import type { Finding } from '../objects/upkeep/verify-report.ts'
import type { NamedRoot } from '../objects/upkeep/verify.ts'
import { SqliteTables } from '../tables/adapters/sqlite.ts'
import { namedRoots } from '../versions/named-roots.ts'
import { HistoryCheck } from '../versions/history-check.ts'
import type { Fault } from '../versions/history-check.ts'
import { projectEntries } from '../versions/project.ts'
import { openCore } from './core.ts'
import type { Core, Ports } from './core.ts'
import { openDataFolderToRead } from './data-folder.ts'
import { openEmbeddedPorts } from './embedded-ports.ts'
import { otherRootsOf } from './other-roots.ts'
import { EMBEDDED_TABLES } from './tables.ts'

const EXAMPLES = 3

/** @throws VarveError INVALID_OPTION, DATA_IN_USE, UNAVAILABLE */
export async function* checkFolder(data: string, signal: AbortSignal): AsyncGenerator<Check> {
  await using opened = new AsyncDisposableStack()
  const folder = await openDataFolderToRead(data)
  opened.defer(() => folder.release())
  const ports = await openEmbeddedPorts(folder, opened, { toRead: true })
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
      {
        guests: ports,
        machine: { project: projectEntries },
        project,
        made,
        history: new CheckedHistory(project),
      },
      signal,
    )
  yield* checkObjects(ports, core, signal)
  yield await temporaryFiles(join(folder.blobsFolder, 'tmp'))
}

/** What is found of a project's heads and lineage (I3, I9). */
class CheckedHistory {
  readonly #project: string
  readonly #check: HistoryCheck
  readonly #faults = new Map<Fault['of'], { count: number; readonly first: string[] }>([
    ['heads', { count: 0, first: [] }],
    ['lineage', { count: 0, first: [] }],
  ])

  constructor(project: string) {
    this.#project = project
    this.#check = new HistoryCheck(project)
  }

  entry(entry: Entry<Fact>): void {
    for (const { of, text } of this.#check.faultsOf(entry)) {
      const seen = this.#faults.get(of)
      if (!seen) continue
      seen.count++
      if (seen.first.length < EXAMPLES) seen.first.push(`entry ${text}`)
    }
  }

  *checks(): Generator<Check> {
    for (const [of, { count, first }] of this.#faults) {
      const what = `${of} of project "${this.#project}"`
      const good =
        of === 'heads' ? 'each moves along its commits' : 'whole, one version of each input'
      if (count === 0) yield { what, state: 'ok', found: good }
      else {
        const found = `${count} entries cannot be so: ${first.join('; ')}`
        const remedy = 'report it with the log: no server should have written that'
        yield { what, state: 'failed', found, remedy }
      }
    }
  }
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
