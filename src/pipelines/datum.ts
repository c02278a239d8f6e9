// Ids and keys of datums. Same id: the same place in the input. Same key: the same place, content and
// code, so the same result. Both hash a JSON array: no two different values have one text.

import { toHex, utf8 } from '../base/bytes.ts'
import type { CodeDigest } from '../exec/runner.ts'
import type { DatumPiece, JobInput } from '../model/datum.ts'
import type { PipelineSpec } from '../model/spec-pipeline.ts'

/** A collision-resistant hash of 32 bytes; given in. */
export type Hash = (bytes: Uint8Array) => Uint8Array

type InputPlace = Pick<JobInput, 'name' | 'project' | 'repo' | 'branch' | 'emptyFiles'>

function hashJson(hash: Hash, value: unknown): string {
  return toHex(hash(utf8(JSON.stringify(value))))
}

/** Over project-qualified input names, repos, branches and paths. */
export function datumId(
  hash: Hash,
  inputs: readonly InputPlace[],
  pieces: readonly DatumPiece[],
): string {
  return hashJson(hash, [
    'datum',
    ...pieces.map((piece, i) => {
      const { name, project, repo, branch } = inputs[i] as InputPlace
      return [name, project, repo, branch, piece.path]
    }),
  ])
}

/** Over the id, what the code sees of the content, and the code. */
export function datumKey(
  hash: Hash,
  id: string,
  inputs: readonly InputPlace[],
  pieces: readonly DatumPiece[],
  code: string,
): string {
  // A file and a directory are told apart: their digests are of different things.
  const seen = pieces.map((piece, i) => [piece.kind, piece.digest, inputs[i]?.emptyFiles === true])
  return hashJson(hash, ['key', id, seen, code])
}

/** Everything of the pipeline that can change what a datum's result is. */
export function codeKey(hash: Hash, digest: CodeDigest, spec: PipelineSpec): string {
  const { transform } = spec
  // What came later counts only where it stands, so that older keys stay as they are.
  const { user, secrets } = transform
  const more = user === undefined && secrets === undefined ? [] : [{ user, secrets }]
  return hashJson(hash, [
    'code',
    digest,
    transform.cmd,
    transform.stdin ?? null,
    Object.entries(transform.env ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
    transform.workingDir ?? null,
    [...(transform.acceptReturnCode ?? [])].sort((a, b) => a - b),
    spec.salt ?? null,
    ...more,
  ])
}

/** How many datums one worker claims at a time. */
export function chunkSize(
  datums: number,
  sets: PipelineSpec['datumSetSpec'],
  workers: number,
): number {
  if (sets?.number !== undefined) return sets.number
  return Math.min(1000, Math.max(1, Math.ceil(datums / (workers * (sets?.perWorker ?? 4)))))
}
