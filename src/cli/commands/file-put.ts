// `varve file put`: what is small enough goes in one request; the rest in parts that may be gone on with.

import { createHash } from 'node:crypto'
import { createReadStream, realpathSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, resolve } from 'node:path'
import type { PutResult } from '../../api/files.ts'
import { systemClock } from '../../base/clock.ts'
import { isVarveError, VarveError } from '../../base/errors.ts'
import { parseFilePath } from '../../model/path.ts'
import { archiveOf, contentOf, PART_SIZES, partsOf, segmentsOf } from '../batches.ts'
import { filesBelow, look, namesBelow, stateOf } from '../folder.ts'
import type { LocalFile } from '../folder.ts'
import { Progress } from '../progress.ts'
import type { Session } from '../session.ts'
import { Uploading } from '../uploading.ts'
import type { UploadingOptions } from '../uploading.ts'
import { many } from '../words.ts'
import { said, target } from './file-target.ts'
import type { Target } from './file-target.ts'

interface PutOptions {
  readonly file: string
  readonly recursive?: boolean
  readonly append?: boolean
  readonly offset?: number
  readonly delete?: number
  readonly message?: string
  readonly resume: boolean
}

export async function put(session: Session, text: string, options: PutOptions): Promise<void> {
  checkFits(options)
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
  // What has no size is read as it comes, once: standard input, a pipe, a device.
  const coming = file?.sizeBytes
    ? () => contentOf(file, 0, file.sizeBytes)
    : await heldIfSmall(file ? createReadStream(source) : stdin)
  const content = typeof coming === 'function' ? progress.counted(coming) : progress.count(coming)
  const client = await session.client()
  const result = await client
    .upload('PUT /projects/:project/repos/:repo/branches/:branch/file', {
      params: branchOf(at),
      query: { path, append, offset, delete: options.delete, message },
      content,
      signal: session.signal,
    })
    .finally(() => progress.end())
  await said(session, result, what, progress.elapsedMs)
}

/** Of what comes only once so much is held, so that it can be sent again. */
const HELD_BYTES = 1024 * 1024

/** A function: all of it is held. */
async function heldIfSmall(
  input: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>)> {
  const held: Uint8Array[] = []
  const rest = input[Symbol.asyncIterator]()
  let sizeBytes = 0
  while (sizeBytes <= HELD_BYTES) {
    const next = await rest.next()
    if (next.done)
      return async function* () {
        yield* held
      }
    held.push(next.value)
    sizeBytes += next.value.length
  }
  return (async function* () {
    yield* held
    yield* { [Symbol.asyncIterator]: () => rest }
  })()
}

const BREATHE_EVERY = 4_096

/** Every name is looked at before anything is sent. */
async function putFolder(session: Session, text: string, options: PutOptions): Promise<void> {
  const at = target(session, text)
  const { stderr, nowMs, cwd, partSizes = PART_SIZES } = session.world
  const folder = resolve(cwd, options.file)
  const total = { files: 0, bytes: 0 }
  for (const { file } of namesBelow(folder, (why) => session.output.note(why))) {
    total.files++
    // Of very many the number says as much as their size, for which each would be asked once more.
    if (total.files <= partSizes.batchFiles) total.bytes += look(file).size
    if (total.files % BREATHE_EVERY === 0) await systemClock.sleep(0)
    session.signal.throwIfAborted()
  }
  if (total.files === 0)
    throw new VarveError('INVALID_OPTION', `cannot put "${folder}": it holds no file`)
  const what = `put ${text}`
  const isFew = total.files <= partSizes.batchFiles
  const totals = { totalBytes: isFew ? total.bytes : undefined, totalFiles: total.files }
  const progress = new Progress({ stderr, nowMs, what, ...totals })
  const files = (): Iterable<LocalFile> => filesBelow(folder, () => undefined)
  if (isFew && total.bytes <= partSizes.batchBytes) {
    const client = await session.client()
    const result = await client
      .upload('PUT /projects/:project/repos/:repo/branches/:branch/files', {
        params: branchOf(at),
        query: { path: at.path, message: options.message },
        content: progress.counted(() => archiveOf([...files()])),
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

/** @throws VarveError INVALID_OPTION where options say different things */
function checkFits({ file, recursive, append, offset, delete: deleteBytes }: PutOptions): void {
  const refuse = (why: string): never => {
    throw new VarveError('INVALID_OPTION', `cannot put "${file}": ${why}`)
  }
  const isChange = append || offset !== undefined || deleteBytes !== undefined
  if (recursive && isChange)
    refuse('--append, --offset and --delete are for one file, and -r puts whole ones')
  if (recursive && file === '-') refuse('standard input is no directory; leave -r')
  if (append && offset !== undefined) refuse('--append is the end of the file; leave --offset')
  if (deleteBytes !== undefined && offset === undefined) refuse('--delete goes with --offset')
}
