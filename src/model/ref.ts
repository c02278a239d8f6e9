import { VarveError } from '../base/errors.ts'
import { DEFAULT_BRANCH, isName } from './name.ts'
import type { Path } from './path.ts'
import { parsePath } from './path.ts'

/** What a person points at: `[project/]repo[@branch|@commit|@branch=commit][^|^n|~n][:/path]`. */
export interface Ref {
  readonly project: string | undefined
  readonly repo: string
  /** A branch name, a commit id, or the last or first characters of one; undefined: not given. */
  readonly version: string | undefined
  /** Set by `@branch=commit` only. */
  readonly branch: string | undefined
  /** How many commits before it. */
  readonly back: number
  readonly path: Path | undefined
}

const SHAPE =
  /^(?:([^/@:]+)\/)?([^/@:]+)(?:@(?:([^@:=^~]+)=)?([^@:=^~]+)((?:\^+\d*|~\d*)*))?(?::(.*))?$/su

/** @throws VarveError INVALID_REF, INVALID_PATH */
export function parseRef(text: string): Ref {
  const match = SHAPE.exec(text)
  const [, project, repo, branch, version, steps, path] = match ?? []
  const named = [project, repo, branch, version].filter((part) => part !== undefined)
  if (!repo || !named.every(isName))
    throw new VarveError('INVALID_REF', `cannot read "${text}" as a reference`)
  let back = 0
  for (const [step] of (steps ?? '').matchAll(/\^+\d*|~\d*/g)) {
    const digits = step.replace(/^[\^~]+/, '')
    const marks = step.length - digits.length
    back += digits === '' ? marks : marks - 1 + Number(digits)
  }
  return {
    project,
    repo,
    version,
    branch,
    back,
    path: path === undefined ? undefined : parsePath(path),
  }
}

/** The branch a reference without a version means. */
export function refVersion(ref: Ref): string {
  return ref.version ?? DEFAULT_BRANCH
}
