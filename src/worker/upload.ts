// Takes what the code left in /pfs/out: regular files, and links into the datum's own inputs, which
// become copies by reference. Anything else fails the datum, before anything of it is sent.

import type { OutputWriter } from '../api/worker.ts'
import { VarveError, isVarveError } from '../base/errors.ts'
import type { ScratchEntry, ScratchFolder } from '../exec/scratch.ts'
import type { PlannedDatum } from '../model/datum.ts'
import { parseFilePath } from '../model/path.ts'

interface Linked {
  readonly path: string
  readonly input: string
  readonly inputPath: string
}

/**
 * Sends a datum's output; answers how many files it has.
 * @throws VarveError INVALID_PATH for what cannot be an output, with the reason for the datum's log
 */
export async function uploadOutput(
  datum: PlannedDatum,
  folder: ScratchFolder,
  output: OutputWriter,
): Promise<number> {
  const files: string[] = []
  const links: Linked[] = []
  for await (const entry of folder.entries('out')) {
    refuseBadName(entry)
    if (entry.kind === 'file') files.push(entry.path)
    else links.push(linked(datum, entry))
  }
  files.sort()
  const count = files.length + links.length
  for (const path of files) await output.put(datum.id, path, folder.read(`out/${path}`))
  for (const { path, input, inputPath } of links)
    await output.copy(datum.id, path, input, inputPath)
  return count
}

function refuseBadName(entry: ScratchEntry): void {
  const shown = JSON.stringify(`/pfs/out/${entry.path}`)
  if (entry.kind === 'bad-name')
    throw new VarveError('INVALID_PATH', `cannot take ${shown}: its name is not UTF-8`)
  if (entry.kind === 'other')
    throw new VarveError('INVALID_PATH', `cannot take ${shown}: it is a device, socket or pipe`)
  try {
    parseFilePath(entry.path)
  } catch (error) {
    throw isVarveError(error)
      ? new VarveError('INVALID_PATH', `cannot take ${shown}: ${error.message}`)
      : error
  }
}

function linked(datum: PlannedDatum, entry: ScratchEntry): Linked {
  const { target } = entry
  const piece = datum.inputs.find(({ name, path }) => {
    const whole = path === '' ? name : `${name}/${path}`
    return target !== undefined && (target === whole || target.startsWith(`${whole}/`))
  })
  if (!piece || target === undefined)
    throw new VarveError(
      'INVALID_PATH',
      `cannot take ${JSON.stringify(`/pfs/out/${entry.path}`)}: it is a link that does not lead into an input of the datum`,
    )
  return { path: entry.path, input: piece.name, inputPath: target.slice(piece.name.length + 1) }
}
