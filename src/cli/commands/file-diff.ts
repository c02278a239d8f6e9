// `varve file diff`: file by file, or summed up by directory.

import type { DiffLine, DiffSum } from '../../api/files.ts'
import { VarveError } from '../../base/errors.ts'
import type { Session } from '../session.ts'
import type { Column } from '../table.ts'
import { bytesText, countText } from '../words.ts'
import { target } from './file-target.ts'

interface DiffOptions {
  readonly stat?: boolean
  readonly depth?: number
  readonly limit?: number
}

export async function diff(
  session: Session,
  first: string,
  second: string | undefined,
  { stat, depth, limit }: DiffOptions,
): Promise<void> {
  const { params, path } = target(session, second ?? first)
  const client = await session.client()
  const from = second === undefined ? undefined : target(session, first).params
  if (from && (from.repo !== params.repo || from.project !== params.project))
    throw new VarveError('INVALID_REF', `cannot compare "${first}" with another repo's "${second}"`)
  if (depth !== undefined && !stat)
    throw new VarveError('INVALID_OPTION', 'cannot use --depth alone: it goes with --stat')
  const query = { path, from: from?.ref, limit }
  const empty = 'no difference'
  if (stat) {
    const route = 'GET /projects/:project/repos/:repo/commits/:ref/diff/stat'
    const sums = client.lines(route, { params, query: { ...query, depth } })
    return await session.output.list(sums, SUM_COLUMNS, dirText, empty)
  }
  const route = 'GET /projects/:project/repos/:repo/commits/:ref/diff'
  const rows = client.lines(route, { params, query })
  const marks = { added: '+', changed: '~', deleted: '-' }
  const size = (side: DiffLine['old']): string => (side ? bytesText(side.bytes) : '')
  await session.output.list(
    rows,
    [
      { header: '', text: (row) => marks[row.change] },
      { header: 'PATH', text: (row) => `/${row.path}` },
      { header: 'OLD', text: (row) => size(row.old), right: true },
      { header: 'NEW', text: (row) => size(row.new), right: true },
    ],
    (row) => `/${row.path}`,
    empty,
  )
}

const dirText = ({ path }: DiffSum): string => (path === '' ? '/' : `/${path}/`)
const sumText = ({ files }: { readonly files: number }, bytes: string): string =>
  files === 0 ? '' : `${countText(files)} (${bytes})`

const SUM_COLUMNS: readonly Column<DiffSum>[] = [
  { header: 'PATH', text: dirText },
  { header: 'ADDED', text: ({ added }) => sumText(added, bytesText(added.bytes)) },
  {
    header: 'CHANGED',
    text: ({ changed }) =>
      sumText(changed, `${bytesText(changed.oldBytes)} → ${bytesText(changed.newBytes)}`),
  },
  { header: 'DELETED', text: ({ deleted }) => sumText(deleted, bytesText(deleted.bytes)) },
]
