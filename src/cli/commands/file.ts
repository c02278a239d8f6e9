import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { Command } from 'commander'
import type { DiffLine, FileView, PutResult } from '../../api/files.ts'
import { writeTar } from '../../api/tar.ts'
import { VarveError } from '../../base/errors.ts'
import { shortId } from '../../model/id.ts'
import type { Act } from '../act.ts'
import { filesBelow, saveFile, saveTar } from '../local-files.ts'
import { Progress } from '../progress.ts'
import { versionOf } from '../session.ts'
import type { Session } from '../session.ts'
import { bytesText, countText, durationText, many } from '../words.ts'

export function addFile(program: Command, act: Act): void {
  const group = program.command('file').description('files of a commit')
  group
    .command('put <repo[@branch][:/path]>')
    .description('write a file, or with -r a directory, in one commit')
    .requiredOption('-f, --file <file>', 'what to write; "-" is standard input')
    .option('-r, --recursive', 'write everything below a directory')
    .option('--append', 'add to the end of what is there')
    .option('-m, --message <text>', 'what the commit is about')
    .action(act(put))
  group
    .command('get <repo@ref:/path>')
    .description('read a file, or with -r a directory')
    .option('--to <file>', 'where it goes; default: standard output, with -r the directory "."')
    .option('-r, --recursive', 'read everything below a directory')
    .option('--offset <bytes>', 'from this byte on', Number)
    .option('--length <bytes>', 'at most so many bytes', Number)
    .action(act(get))
  group
    .command('ls <repo[@ref][:/path]>')
    .description('what is in a directory')
    .option('--limit <n>', 'at most so many', Number)
    .action(
      act(async (session, text: string, options: { limit?: number }) => {
        const { params, path } = target(session, text)
        const client = await session.client()
        const query = { path, limit: options.limit }
        const rows = client.lines('GET /projects/:project/repos/:repo/commits/:ref/ls', {
          params,
          query,
        })
        await listFiles(session, rows, `nothing in ${text}`)
      }),
    )
  group
    .command('glob <repo[@ref][:/pattern]> [pattern]')
    .description('files and directories that match: "events@master:/**/*.json"')
    .option('--limit <n>', 'at most so many', Number)
    .action(
      act(async (session, text: string, given: string | undefined, options: { limit?: number }) => {
        const { params, path } = target(session, text)
        const pattern = given ?? `/${path ?? '**'}`
        const client = await session.client()
        const query = { pattern, limit: options.limit }
        const rows = client.lines('GET /projects/:project/repos/:repo/commits/:ref/glob', {
          params,
          query,
        })
        await listFiles(session, rows, `nothing matches ${pattern}`)
      }),
    )
  group
    .command('diff <repo[@ref][:/path]> [repo[@ref][:/path]]')
    .description('what a commit changed; with two, what differs from the first to the second')
    .option('--limit <n>', 'at most so many', Number)
    .action(act(diff))
  group
    .command('rm <repo[@branch]:/path>')
    .description('delete a file, or everything below a directory')
    .option('-m, --message <text>', 'what the commit is about')
    .action(
      act(async (session, text: string, options: { message?: string }) => {
        const { params, path } = target(session, text)
        if (path === undefined || path === '')
          throw new VarveError('INVALID_PATH', `cannot delete "${text}": name a path`)
        const client = await session.client()
        const result = await client.call(
          'DELETE /projects/:project/repos/:repo/branches/:branch/file',
          {
            params: { project: params.project, repo: params.repo, branch: params.ref },
            query: { path, message: options.message },
          },
        )
        await said(session, result, `deleted /${path}`)
      }),
    )
}

interface Target {
  readonly params: { readonly project: string; readonly repo: string; readonly ref: string }
  readonly path: string | undefined
}

function target(session: Session, text: string): Target {
  const ref = session.ref(text)
  return { params: { project: ref.project, repo: ref.repo, ref: versionOf(ref) }, path: ref.path }
}

interface PutOptions {
  readonly file: string
  readonly recursive?: boolean
  readonly append?: boolean
  readonly message?: string
}

async function put(session: Session, text: string, options: PutOptions): Promise<void> {
  const at = target(session, text)
  const client = await session.client()
  const { message, append } = options
  const params = { project: at.params.project, repo: at.params.repo, branch: at.params.ref }
  const { stderr, stdin, nowMs, cwd } = session.world
  const source = resolve(cwd, options.file)
  if (options.recursive) {
    const progress = new Progress({ stderr, nowMs, what: `put ${text}` })
    const files = filesBelow(source, (why) => session.output.note(why))
    const result = await client
      .upload('PUT /projects/:project/repos/:repo/branches/:branch/files', {
        params,
        query: { path: at.path, message },
        content: progress.count(writeTar(files)),
        signal: session.signal,
      })
      .finally(() => progress.end())
    return said(session, result, `put ${many(result.files, 'file')}`, progress.elapsedMs)
  }
  const fromStdin = options.file === '-'
  const path = at.path || (fromStdin ? '' : basename(source))
  if (path === '')
    throw new VarveError('INVALID_PATH', `cannot put standard input to "${text}": name a path`)
  const totalBytes = fromStdin ? undefined : await sizeOf(source)
  const progress = new Progress({ stderr, nowMs, what: `put /${path}`, totalBytes })
  const content: AsyncIterable<Uint8Array> = fromStdin
    ? stdin
    : createReadStream(source, { highWaterMark: 1 << 20 })
  const result = await client
    .upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
      params,
      query: { path, append, message },
      content: progress.count(content),
      signal: session.signal,
    })
    .finally(() => progress.end())
  await said(session, result, `put /${path}`, progress.elapsedMs)
}

async function sizeOf(file: string): Promise<number> {
  try {
    const found = await stat(file)
    if (!found.isDirectory()) return found.size
  } catch (error) {
    throw new VarveError('INVALID_OPTION', `cannot read "${file}": ${(error as Error).message}`)
  }
  throw new VarveError('INVALID_OPTION', `cannot put "${file}": it is a directory; add -r`)
}

async function said(
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

interface GetOptions {
  readonly to?: string
  readonly recursive?: boolean
  readonly offset?: number
  readonly length?: number
}

async function get(session: Session, text: string, options: GetOptions): Promise<void> {
  const { params, path } = target(session, text)
  const client = await session.client()
  const { stderr, nowMs, cwd } = session.world
  if (options.recursive) {
    const folder = resolve(cwd, options.to ?? '.')
    const archive = await client.download('GET /projects/:project/repos/:repo/commits/:ref/files', {
      params,
      query: { path },
      signal: session.signal,
    })
    const progress = new Progress({ stderr, nowMs, what: `get ${text}` })
    const files = await saveTar(progress.count(archive.content), folder).finally(() =>
      progress.end(),
    )
    session.output.note(`got ${many(files, 'file')} into ${folder}`)
    return
  }
  if (path === undefined || path === '')
    throw new VarveError('INVALID_PATH', `cannot get "${text}": name a file, or add -r`)
  const { offset, length } = options
  const range =
    offset === undefined && length === undefined
      ? undefined
      : { offset: offset ?? 0, ...(length === undefined ? {} : { length }) }
  const file = await client.download('GET /projects/:project/repos/:repo/commits/:ref/file', {
    params,
    query: { path },
    range,
    signal: session.signal,
  })
  const totalBytes = file.sizeBytes
  if (options.to === undefined || options.to === '-') {
    for await (const chunk of file.content) await session.output.write(chunk)
    return
  }
  const progress = new Progress({ stderr, nowMs, what: `get /${path}`, totalBytes })
  const to = resolve(cwd, options.to)
  await saveFile(progress.count(file.content), to).finally(() => progress.end())
  session.output.note(`got /${path} into ${to}, ${bytesText(progress.doneBytes)}`)
}

async function listFiles(
  session: Session,
  rows: AsyncIterable<FileView>,
  empty: string,
): Promise<void> {
  const shown = (row: FileView): string => `/${row.path}${row.kind === 'dir' ? '/' : ''}`
  await session.output.list(
    rows,
    [
      { header: 'PATH', text: shown },
      { header: 'SIZE', text: (row) => bytesText(row.bytes), right: true },
      {
        header: 'FILES',
        text: (row) => (row.kind === 'dir' ? countText(row.files) : ''),
        right: true,
      },
      { header: 'DIGEST', text: (row) => row.digest, wide: true },
    ],
    shown,
    empty,
  )
}

async function diff(
  session: Session,
  first: string,
  second: string | undefined,
  options: { limit?: number },
): Promise<void> {
  const { params, path } = target(session, second ?? first)
  const client = await session.client()
  const from = second === undefined ? undefined : target(session, first).params
  if (from && (from.repo !== params.repo || from.project !== params.project))
    throw new VarveError('INVALID_REF', `cannot compare "${first}" with another repo's "${second}"`)
  const rows = client.lines('GET /projects/:project/repos/:repo/commits/:ref/diff', {
    params,
    query: { path, from: from?.ref, limit: options.limit },
  })
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
    'no difference',
  )
}
