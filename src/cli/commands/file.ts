import { createHash } from 'node:crypto'
import { createReadStream, realpathSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, resolve } from 'node:path'
import type { Command } from 'commander'
import type { DiffLine, FileView, PutResult } from '../../api/files.ts'
import { systemClock } from '../../base/clock.ts'
import { isVarveError, VarveError } from '../../base/errors.ts'
import { shortId } from '../../model/id.ts'
import { parseFilePath } from '../../model/path.ts'
import type { Act } from '../act.ts'
import { archiveOf, PART_SIZES, partsOf, segmentsOf } from '../batches.ts'
import { getFile } from '../downloading.ts'
import { filesBelow, stateOf } from '../folder.ts'
import type { LocalFile } from '../folder.ts'
import { saveFile, saveTar } from '../local-files.ts'
import { Progress } from '../progress.ts'
import { versionOf } from '../session.ts'
import type { Session } from '../session.ts'
import { Uploading } from '../uploading.ts'
import type { UploadingOptions } from '../uploading.ts'
import { bytesText, countText, durationText, many } from '../words.ts'

export function addFile(program: Command, act: Act): void {
  const group = program.command('file').description('files of a commit')
  group
    .command('put <repo[@branch][:/path]>')
    .description('write a file, or with -r a directory, in one commit')
    .requiredOption('-f, --file <file>', 'what to write; "-" is standard input')
    .option('-r, --recursive', 'write everything below a directory')
    .option('--append', 'add to the end of what is there')
    .option('--offset <bytes>', 'patch what is there: insert from this byte on', Number)
    .option('--delete <bytes>', 'with --offset: so many bytes give way', Number)
    .option('--no-resume', 'send all of it, also what an earlier run has sent already')
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
  readonly offset?: number
  readonly delete?: number
  readonly message?: string
  readonly resume: boolean
}

/** What is small enough goes in one request; the rest in parts that may be gone on with. */
async function put(session: Session, text: string, options: PutOptions): Promise<void> {
  if (options.recursive) return putFolder(session, text, options)
  const at = target(session, text)
  const { message, append, offset } = options
  const { stderr, stdin, nowMs, cwd, partSizes = PART_SIZES } = session.world
  const source = resolve(cwd, options.file)
  const fromStdin = options.file === '-'
  const path = at.path || (fromStdin ? '' : basename(source))
  if (path === '')
    throw new VarveError('INVALID_PATH', `cannot put standard input to "${text}": name a path`)
  const file = fromStdin ? undefined : localFile(source, path)
  const totalBytes = file?.sizeBytes
  const progress = new Progress({ stderr, nowMs, what: `put /${path}`, totalBytes })
  const what = `put /${path}`
  if (file && file.sizeBytes > partSizes.segmentBytes && !append && offset === undefined) {
    const plan = () => segmentsOf(file, partSizes)
    const result = await upload(session, text, options, { plan, progress, base: '', source: path })
    return said(session, result, what, progress.elapsedMs)
  }
  const content: AsyncIterable<Uint8Array> = file
    ? createReadStream(source, { highWaterMark: 1 << 20 })
    : stdin
  const client = await session.client()
  const result = await client
    .upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
      params: branchOf(at),
      query: { path, append, offset, delete: options.delete, message },
      content: progress.count(content),
      signal: session.signal,
    })
    .finally(() => progress.end())
  await said(session, result, what, progress.elapsedMs)
}

const BREATHE_EVERY = 4_096

/** Every name is looked at before anything is sent. */
async function putFolder(session: Session, text: string, options: PutOptions): Promise<void> {
  const at = target(session, text)
  const { stderr, nowMs, cwd, partSizes = PART_SIZES } = session.world
  const folder = resolve(cwd, options.file)
  const total = { files: 0, bytes: 0 }
  for (const file of filesBelow(folder, (why) => session.output.note(why))) {
    total.files++
    total.bytes += file.sizeBytes
    if (total.files % BREATHE_EVERY === 0) await systemClock.sleep(0)
    session.signal.throwIfAborted()
  }
  if (total.files === 0)
    throw new VarveError('INVALID_OPTION', `cannot put "${folder}": it holds no file`)
  const what = `put ${text}`
  const totals = { totalBytes: total.bytes, totalFiles: total.files }
  const progress = new Progress({ stderr, nowMs, what, ...totals })
  const files = (): Iterable<LocalFile> => filesBelow(folder, () => undefined)
  if (total.files <= partSizes.batchFiles && total.bytes <= partSizes.batchBytes) {
    const client = await session.client()
    const result = await client
      .upload('PUT /projects/:project/repos/:repo/branches/:branch/files', {
        params: branchOf(at),
        query: { path: at.path, message: options.message },
        content: progress.count(archiveOf([...files()])),
        signal: session.signal,
      })
      .finally(() => progress.end())
    return said(session, result, `put ${many(result.files, 'file')}`, progress.elapsedMs)
  }
  const plan = () => partsOf(files(), partSizes)
  const base = at.path ?? ''
  const result = await upload(session, text, options, { plan, progress, base, source: base })
  await said(session, result, `put ${many(result.files, 'file')}`, progress.elapsedMs)
}

/** @param given.source with the place of the file, what it is known again by */
async function upload(
  session: Session,
  text: string,
  { file, message, resume }: PutOptions,
  given: Pick<UploadingOptions, 'plan' | 'progress'> & {
    readonly base: string
    readonly source: string
  },
): Promise<PutResult> {
  const { plan, progress, base } = given
  const from = [hostname(), resolve(session.world.cwd, file), given.source]
  const uploading = new Uploading({
    client: await session.client(),
    branch: branchOf(target(session, text)),
    source: createHash('sha256').update(JSON.stringify(from)).digest('hex'),
    message,
    fresh: !resume,
    plan,
    pathOf: ({ path }) => (base === '' ? path : `${base.replace(/\/$/, '')}/${path}`),
    base: base === '' ? undefined : base,
    progress,
    note: (said) => session.output.note(said),
    signal: session.signal,
  })
  try {
    return await uploading.send()
  } catch (error) {
    progress.end()
    if (uploading.hasParts && (session.signal.aborted || isVarveError(error, 'UNAVAILABLE')))
      session.output.note('what was sent is kept for 7 days: the same command goes on from there')
    throw error
  } finally {
    progress.end()
  }
}

function branchOf({ params }: Target): { project: string; repo: string; branch: string } {
  return { project: params.project, repo: params.repo, branch: params.ref }
}

/** A link is followed: this one was named. */
function localFile(named: string, path: string): LocalFile {
  const found = statSync(named, { throwIfNoEntry: false })
  if (!found)
    throw new VarveError('INVALID_OPTION', `cannot read "${named}": there is no such file`)
  if (found.isDirectory())
    throw new VarveError('INVALID_OPTION', `cannot put "${named}": it is a directory; add -r`)
  const file = found.isFile() ? realpathSync(named) : named
  return { path: parseFilePath(path), file, sizeBytes: found.size, state: stateOf(found) }
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
    const saving = saveTar(progress.count(archive.content), folder, () => progress.add(0, 1))
    const files = await saving.finally(() => progress.end())
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
