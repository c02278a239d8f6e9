import type { Command } from 'commander'
import type { UploadView } from '../../api/uploads.ts'
import { VarveError } from '../../base/errors.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import type { Session } from '../session.ts'
import { versionOf } from '../session.ts'
import { ageText, bytesText, countText, durationText } from '../words.ts'

const UPLOAD = '/projects/:project/repos/:repo/branches/:branch/uploads/:upload'

const refOf = (row: UploadView): string => `${row.repo}@${row.branch}=${row.upload}`

export function addUpload(program: Command, act: Act): void {
  const group = program
    .command('upload')
    .description('files on their way in: what "file put" sends in parts, until it is a commit')
  group
    .command('list [repo[@branch]]')
    .description(
      'uploads that are not finished, the newest first: to a repo or branch, else of the project',
    )
    .action(act(list))
  group
    .command('inspect <upload>')
    .description('one upload: its id, the end of that, or repo@branch=id')
    .action(act(inspect))
  group
    .command('delete <upload>')
    .description('give an upload up, with what was sent; nobody has seen anything of it')
    .action(act(remove))
}

async function list(session: Session, text: string | undefined): Promise<void> {
  const { nowMs } = session.world
  const asked = text === undefined ? undefined : session.ref(text)
  if (asked?.path !== undefined)
    throw new VarveError('INVALID_REF', `cannot list uploads of "${text}": leave the path`)
  const rows = await found(session, {
    project: asked?.project ?? session.project,
    repo: asked?.repo,
    branch: asked?.version === undefined ? undefined : versionOf(asked),
  })
  await session.output.list(
    rows,
    [
      { header: 'ID', text: (row) => shortId(row.upload) },
      { header: 'TO', text: (row) => `${row.repo}@${row.branch}` },
      { header: 'PARTS', text: (row) => countText(row.parts), right: true },
      { header: 'FILES', text: (row) => countText(row.files), right: true },
      { header: 'SIZE', text: (row) => bytesText(row.bytes), right: true },
      { header: 'BEGUN', text: (row) => ageText(row.openedAtMs, nowMs()) },
      { header: 'KEPT FOR', text: (row) => leftText(row, nowMs()) },
      { header: 'FULL ID', text: (row) => row.upload, wide: true },
    ],
    refOf,
    'no upload is under way',
  )
}

async function inspect(session: Session, text: string): Promise<void> {
  const { project, row } = await theOne(session, text)
  const { repo, branch, upload } = row
  const client = await session.client()
  const view = await client.call(`GET ${UPLOAD}`, { params: { project, repo, branch, upload } })
  const { nowMs } = session.world
  await session.output.one(
    view,
    [
      ['upload', refOf(view)],
      ['parts', countText(view.parts)],
      ['files', countText(view.files)],
      ['size', bytesText(view.bytes)],
      ['begun', ageText(view.openedAtMs, nowMs())],
      ['kept for', leftText(view, nowMs())],
      ['source', view.source],
    ],
    refOf(view),
  )
}

async function remove(session: Session, text: string): Promise<void> {
  const { project, row } = await theOne(session, text)
  const { repo, branch, upload } = row
  const client = await session.client()
  await client.call(`DELETE ${UPLOAD}`, { params: { project, repo, branch, upload } })
  session.output.note(`deleted upload ${shortId(upload)} to ${repo}@${branch}`)
}

async function found(
  session: Session,
  of: { project: string; repo?: string | undefined; branch?: string | undefined },
): Promise<UploadView[]> {
  const { project, ...query } = of
  const client = await session.client()
  const { signal } = session
  const rows = await Array.fromAsync(
    client.lines('GET /projects/:project/uploads', { params: { project }, query, signal }),
  )
  return rows.toSorted((a, b) => b.openedAtMs - a.openedAtMs)
}

/** @throws VarveError NOT_FOUND_UPLOAD, INVALID_REF: several are meant */
async function theOne(
  session: Session,
  text: string,
): Promise<{ readonly project: string; readonly row: UploadView }> {
  const ref = text.includes('=') ? session.ref(text) : undefined
  const end = ref?.version ?? text
  const project = ref?.project ?? session.project
  const rows = await found(session, { project, repo: ref?.repo, branch: ref?.branch })
  const [row, ...more] = rows.filter(({ upload }) => upload === end || upload.endsWith(end))
  if (!row)
    throw new VarveError(
      'NOT_FOUND_UPLOAD',
      `cannot find the upload "${text}": the id of none that is under way ends so`,
    )
  if (more.length > 0)
    throw new VarveError(
      'INVALID_REF',
      `cannot tell which upload "${text}" is: ${more.length + 1} ids end so; give more of it`,
    )
  return { project, row }
}

function leftText({ expiresAtMs }: UploadView, nowMs: number): string {
  return durationText(Math.max(0, expiresAtMs - nowMs))
}
