// What a command about files points at, and how what it wrote is said.

import type { PutResult } from '../../api/files.ts'
import { shortId } from '../../model/id.ts'
import type { Session } from '../session.ts'
import { versionOf } from '../session.ts'
import { bytesText, durationText } from '../words.ts'

export interface Target {
  readonly params: { readonly project: string; readonly repo: string; readonly ref: string }
  readonly path: string | undefined
}

export function target(session: Session, text: string): Target {
  const ref = session.ref(text)
  return { params: { project: ref.project, repo: ref.repo, ref: versionOf(ref) }, path: ref.path }
}

export async function said(
  session: Session,
  result: PutResult,
  what: string,
  elapsedMs?: number,
): Promise<void> {
  const ref = `${result.repo}@${result.branch}=${result.commit}`
  if (!session.output.isText) return session.output.one(result, [], ref)
  const where = `${result.repo}@${result.branch} ${shortId(result.commit)}`
  const into = result.finished ? `as ${where}` : `into the open commit ${where}`
  const took =
    elapsedMs === undefined ? '' : `, ${bytesText(result.bytes)} in ${durationText(elapsedMs)}`
  session.output.note(`${what} ${into}${took}`)
}
