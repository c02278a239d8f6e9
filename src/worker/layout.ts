// Puts a datum's input where the code looks for it. What is laid out already and cannot have been
// written since (a read-only mount) stays; what was laid out lately may still be kept nearby.

import type { Claim, WorkerApi } from '../api/worker.ts'
import { forEachLimit } from '../base/async.ts'
import { EMPTY } from '../base/bytes.ts'
import type { ScratchFolder } from '../exec/scratch.ts'
import type { DatumPiece, PlannedDatum } from '../model/datum.ts'
import { ROOT } from '../model/path.ts'

const FILES_AT_ONCE = 8

export class Layout {
  readonly #api: WorkerApi
  readonly #folder: ScratchFolder
  readonly #readOnly: boolean
  /** Folder path → what lies there. */
  readonly #laid = new Map<string, string>()

  constructor(options: { api: WorkerApi; folder: ScratchFolder; readOnly: boolean }) {
    this.#api = options.api
    this.#folder = options.folder
    this.#readOnly = options.readOnly
  }

  /** Inputs of the datum and nothing else, and an empty `out`. `fresh`: trust nothing that is there. */
  async lay(claim: Claim, datum: PlannedDatum, fresh: boolean): Promise<void> {
    const wanted = new Map<string, DatumPiece>()
    for (const piece of datum.inputs)
      wanted.set(piece.path === '' ? piece.name : `${piece.name}/${piece.path}`, piece)
    for (const [path, what] of this.#laid) {
      const piece = wanted.get(path)
      if (piece && this.#readOnly && !fresh && what === whatOf(claim, piece)) continue
      await this.#folder.remove(path)
      this.#laid.delete(path)
    }
    for (const [path, piece] of wanted) {
      if (this.#laid.has(path)) continue
      await this.#put(claim, piece, fresh)
      this.#laid.set(path, whatOf(claim, piece))
    }
    await this.#folder.empty('out')
  }

  async #put(claim: Claim, piece: DatumPiece, fresh: boolean): Promise<void> {
    const empty = claim.inputs.find((input) => input.name === piece.name)?.emptyFiles === true
    const write = async (path: string, digest: string | undefined): Promise<void> => {
      const target = `${piece.name}/${path}`
      if (empty) return this.#folder.write(target, EMPTY)
      if (digest !== undefined && !fresh && (await this.#folder.layKept?.(target, digest)) === true)
        return this.#api.pass?.(claim, piece.name, path)
      await this.#folder.write(target, this.#api.read(claim, piece.name, path), digest)
    }
    if (piece.kind === 'file') return write(piece.path, piece.digest)
    let files = 0
    await forEachLimit(this.#api.files(claim, piece.name, piece.path), FILES_AT_ONCE, (file) => {
      files++
      return write(file.path, file.digest)
    })
    // Of all folders only a whole input may hold nothing; code looks for it all the same.
    if (files === 0 && piece.path === ROOT) await this.#folder.empty(piece.name)
  }

  /** Nothing is believed to be there any more. */
  async clear(): Promise<void> {
    for (const path of this.#laid.keys()) await this.#folder.remove(path)
    this.#laid.clear()
  }
}

function whatOf(claim: Claim, piece: DatumPiece): string {
  return `${claim.project}:${claim.pipeline}:${piece.kind}:${piece.digest}`
}
