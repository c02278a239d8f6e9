// `varve file get`: one file, a part of it, or everything below a directory.

import { resolve } from 'node:path'
import { isVarveError, VarveError } from '../../base/errors.ts'
import { parsePath } from '../../model/path.ts'
import { getFile } from '../downloading.ts'
import { getTree } from '../downloading-tree.ts'
import { Folder, saveFile } from '../local-files.ts'
import { Progress } from '../progress.ts'
import type { Session } from '../session.ts'
import { bytesText, many } from '../words.ts'
import { target } from './file-target.ts'

interface GetOptions {
  readonly to?: string
  readonly recursive?: boolean
  readonly offset?: number
  readonly length?: number
}

export async function get(session: Session, text: string, options: GetOptions): Promise<void> {
  const { params, path } = target(session, text)
  const client = await session.client()
  const { stderr, nowMs, cwd } = session.world
  if (options.recursive) return getFolder(session, text, options)
  if (path === undefined || path === '')
    throw new VarveError('INVALID_PATH', `cannot get "${text}": name a file, or add -r`)
  const { offset, length } = options
  const range =
    offset === undefined && length === undefined
      ? undefined
      : { offset: offset ?? 0, ...(length === undefined ? {} : { length }) }
  const { signal } = session
  const what = `get /${path}`
  const to = options.to === undefined || options.to === '-' ? undefined : resolve(cwd, options.to)
  if (to !== undefined && !range) {
    const query = { path }
    const { bytes, digest, kind } = await client.call(
      'GET /projects/:project/repos/:repo/commits/:ref/stat',
      { params, query, signal },
    )
    if (kind === 'dir')
      throw new VarveError('INVALID_PATH', `cannot get "${text}": it is a directory; add -r`)
    const progress = new Progress({ stderr, nowMs, what, totalBytes: bytes })
    const note = (said: string): void => session.output.note(said)
    const about = { path, digest, sizeBytes: bytes, to }
    await getFile({ client, params, ...about, progress, note, signal }).finally(() =>
      progress.end(),
    )
    session.output.note(`got /${path} into ${to}, ${bytesText(bytes)}`)
    return
  }
  const file = await client.download('GET /projects/:project/repos/:repo/commits/:ref/file', {
    params,
    query: { path },
    range,
    signal,
  })
  if (to === undefined) {
    for await (const chunk of file.content) await session.output.write(chunk)
    return
  }
  const progress = new Progress({ stderr, nowMs, what, totalBytes: file.sizeBytes })
  await saveFile(progress.count(file.content), to).finally(() => progress.end())
  session.output.note(`got /${path} into ${to}, ${bytesText(progress.doneBytes)}`)
}

/** Of one commit, whatever is committed meanwhile. */
async function getFolder(session: Session, text: string, options: GetOptions): Promise<void> {
  const { to, offset, length } = options
  if (offset !== undefined || length !== undefined)
    throw new VarveError(
      'INVALID_OPTION',
      'cannot get a part of a directory: --offset and --length are of one file, without -r',
    )
  if (to === '-')
    throw new VarveError(
      'INVALID_OPTION',
      'cannot get a directory to standard output: name a directory with --to',
    )
  const at = target(session, text)
  const client = await session.client()
  const { stderr, nowMs, cwd } = session.world
  const { signal } = session
  const named = { params: at.params, signal }
  const { id } = await client.call('GET /projects/:project/repos/:repo/commits/:ref', named)
  const params = { ...at.params, ref: id }
  const base = parsePath(at.path ?? '')
  const found = await client.call('GET /projects/:project/repos/:repo/commits/:ref/stat', {
    params,
    query: { path: base },
    signal,
  })
  if (found.kind === 'file')
    throw new VarveError('INVALID_PATH', `cannot get "${text}" with -r: it is a file; leave -r`)
  const folder = new Folder(resolve(cwd, to ?? '.'))
  const totals = { totalBytes: found.bytes, totalFiles: found.files }
  const progress = new Progress({ stderr, nowMs, what: `get ${text}`, ...totals })
  const note = (said: string): void => session.output.note(said)
  const { files, kept } = await getTree({ client, params, base, folder, progress, note, signal })
    .catch((error: unknown) => {
      if (signal.aborted || isVarveError(error, 'UNAVAILABLE'))
        note('what has come stays: the same command goes on from there')
      throw error
    })
    .finally(() => progress.end())
  const more = kept === 0 ? '' : `; ${many(kept, 'file')} there already`
  note(`got ${many(files, 'file')} into ${folder.place}${more}`)
}
