import type { DiffLine, FileView, PutResult } from '../../api/files.ts'
import { writeTar } from '../../api/tar.ts'
import { utf8 } from '../../base/bytes.ts'
import { VarveError } from '../../base/errors.ts'
import { parseName } from '../../model/name.ts'
import type { Path } from '../../model/path.ts'
import { parseFilePath, parsePath, ROOT } from '../../model/path.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import type { FileEntry, TreeEntry, TreeWriter } from '../../objects/objects.ts'
import { comparePaths } from '../../objects/trees/walk.ts'
import { checkKept, keptAncestor } from '../../versions/dropped.ts'
import type { Request } from '../../versions/versions.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { filesBetween } from '../files-between.ts'
import { missing, refOf, requireRepo } from '../find.ts'
import { countedBytes, putArchive } from '../incoming.ts'
import { contentHeaders, sendRange } from '../range.ts'
import { fileView } from '../views.ts'

type Files = Pick<
  Handlers,
  | 'GET /projects/:project/repos/:repo/commits/:ref/file'
  | 'GET /projects/:project/repos/:repo/commits/:ref/checksum'
  | 'GET /projects/:project/repos/:repo/commits/:ref/checksums'
  | 'GET /projects/:project/repos/:repo/commits/:ref/files'
  | 'GET /projects/:project/repos/:repo/commits/:ref/stat'
  | 'GET /projects/:project/repos/:repo/commits/:ref/ls'
  | 'GET /projects/:project/repos/:repo/commits/:ref/glob'
  | 'GET /projects/:project/repos/:repo/commits/:ref/diff'
  | 'GET /projects/:project/repos/:repo/commits/:ref/diff/stat'
  | 'PUT /projects/:project/repos/:repo/branches/:branch/file'
  | 'PUT /projects/:project/repos/:repo/branches/:branch/files'
  | 'DELETE /projects/:project/repos/:repo/branches/:branch/file'
>

interface At {
  readonly project: string
  readonly repo: string
  readonly ref: string
}

interface Branch {
  readonly project: string
  readonly repo: string
  readonly branch: string
}

export function fileHandlers({ versions }: Context): Files {
  const { objects } = versions

  async function rootAt({ project, repo, ref }: At): Promise<TreeRef> {
    const commit = await versions.resolve(project, refOf(repo, ref))
    if (commit.root !== null) return commit.root
    checkKept(commit)
    throw new VarveError(
      'NOT_FOUND_PATH',
      `cannot read "${repo}@${ref}": the commit is ${commit.state} and holds no files`,
    )
  }

  async function entryAt(at: At, root: TreeRef, path: Path): Promise<TreeEntry> {
    const entry = await objects.stat(root, path)
    if (entry) return entry
    const parent = parsePath(path.slice(0, Math.max(0, path.lastIndexOf('/'))))
    const names: string[] = []
    for await (const one of objects.list(root, parent, { limit: 1000 })) names.push(one.path)
    throw missing('NOT_FOUND_PATH', 'path', path, names, `${at.repo}@${at.ref}:/`)
  }

  /** A directory that files are asked below of, or one file. */
  async function baseAt(
    at: At,
    path = '',
  ): Promise<{ root: TreeRef; base: Path; entry?: TreeEntry }> {
    const root = await rootAt(at)
    const base = parsePath(path)
    return base === '' ? { root, base } : { root, base, entry: await entryAt(at, root, base) }
  }

  /** What is to be changed is there, as far as it can be seen: an open commit may have made it. */
  async function requirePath({ project, repo, branch }: Branch, path: Path): Promise<void> {
    if (await versions.openCommit(project, { repo, branch })) return
    const at = { project, repo, ref: branch }
    await entryAt(at, await rootAt(at), path)
  }

  /** Two trees: that of a commit, and that of `from` or of the nearest ancestor that is kept. */
  async function compared(
    at: At,
    from: string | undefined,
  ): Promise<{ older: TreeRef | null; newer: TreeRef }> {
    const { project, repo, ref } = at
    const commit = await versions.resolve(project, refOf(repo, ref))
    const newer = await rootAt(at)
    const older =
      from === undefined
        ? ((await keptAncestor(versions, project, commit))?.root ?? null)
        : await rootAt({ project, repo, ref: from })
    return { older, newer }
  }

  async function fileAt(at: At, path: string): Promise<FileEntry> {
    const entry = await entryAt(at, await rootAt(at), parseFilePath(path))
    if (entry.kind === 'file') return entry
    throw new VarveError('INVALID_PATH', `cannot send "${entry.path}": it is a directory`)
  }

  /** Into the open commit of the branch if there is one, else as a commit of its own. */
  async function write(
    params: Branch,
    message: string | undefined,
    request: Request,
    work: (writer: TreeWriter) => Promise<{ files: number; bytes: number }>,
  ): Promise<PutResult> {
    const { project, repo } = params
    await requireRepo(versions, project, repo)
    const key = { repo, branch: parseName('branch', params.branch) }
    let written = { files: 0, bytes: 0 }
    const doWork = async (writer: TreeWriter): Promise<void> => {
      written = await work(writer)
    }
    const open = await versions.openCommit(project, key)
    if (open) {
      await versions.stageFiles(project, open, doWork, request)
      return { ...key, commit: open.id, finished: false, ...written }
    }
    const note = message ? await objects.putBytes(utf8(message)) : null
    const commit = await versions.commitFiles(project, key, doWork, request, { note })
    return { ...key, commit: commit.id, finished: true, ...written }
  }

  return {
    'GET /projects/:project/repos/:repo/commits/:ref/file': async ({ params, query, headers }) => {
      const entry = await fileAt(params, query.path)
      return sendRange({
        sizeBytes: entry.sizeBytes,
        etag: `"${entry.digest}"`,
        headers,
        extra: contentHeaders(entry.path, query.download ?? false),
        read: (range) => objects.readEntry(entry, range),
      })
    },

    'GET /projects/:project/repos/:repo/commits/:ref/checksum': async (call) => {
      const { path, offset = 0, length } = call.query
      const entry = await fileAt(call.params, path)
      const range = { offset, ...(length === undefined ? {} : { length }) }
      const counted = countedBytes(objects.readEntry(entry, range))
      for await (const _ of counted.content) if (call.signal.aborted) break
      return { sha256: counted.sha256(), bytes: counted.sizeBytes(), digest: entry.digest }
    },

    'GET /projects/:project/repos/:repo/commits/:ref/checksums': async function* (call) {
      const { root, base } = await baseAt(call.params, call.query.path)
      for await (const entry of filesBetween(objects, root, base, call.query)) {
        const { path, sizeBytes, digest } = entry
        const counted = countedBytes(objects.readEntry(entry))
        for await (const _ of counted.content) if (call.signal.aborted) return
        yield { path, bytes: sizeBytes, digest, sha256: counted.sha256() }
      }
    },

    'GET /projects/:project/repos/:repo/commits/:ref/files': async ({ params, query }) => {
      const { root, base } = await baseAt(params, query.path)
      async function* files(): AsyncGenerator<{
        path: string
        sizeBytes: number
        content: AsyncIterable<Uint8Array>
      }> {
        for await (const entry of filesBetween(objects, root, base, query)) {
          const path =
            base === '' || entry.path === base ? entry.path : entry.path.slice(base.length + 1)
          yield { path, sizeBytes: entry.sizeBytes, content: objects.readEntry(entry) }
        }
      }
      return { content: writeTar(files()), contentType: 'application/x-tar' }
    },

    'GET /projects/:project/repos/:repo/commits/:ref/stat': async ({ params, query }) =>
      fileView(await entryAt(params, await rootAt(params), parsePath(query.path))),

    'GET /projects/:project/repos/:repo/commits/:ref/ls': async function* ({ params, query }) {
      const { root, base: path, entry } = await baseAt(params, query.path)
      if (entry?.kind === 'file') return yield fileView(entry)
      const { after, limit } = query
      if (query.recursive) {
        let left = limit ?? Infinity
        for await (const file of filesBetween(objects, root, path, { after })) {
          if (left-- <= 0) return
          yield fileView(file)
        }
        return
      }
      yield* viewed(
        objects.list(root, path, {
          ...(after === undefined ? {} : { after }),
          ...(limit === undefined ? {} : { limit }),
        }),
      )
    },

    'GET /projects/:project/repos/:repo/commits/:ref/glob': async function* ({ params, query }) {
      const root = await rootAt(params)
      let left = query.limit ?? Infinity
      for await (const entry of objects.glob(root, query.pattern)) {
        if (left-- <= 0) return
        yield fileView(entry)
      }
    },

    'GET /projects/:project/repos/:repo/commits/:ref/diff': async function* ({ params, query }) {
      const { older, newer } = await compared(params, query.from)
      let left = query.limit ?? Infinity
      for await (const change of objects.diff(older, newer, parsePath(query.path ?? ''))) {
        if (left-- <= 0) return
        yield diffLine(change)
      }
    },

    'GET /projects/:project/repos/:repo/commits/:ref/diff/stat': async function* (call) {
      const { from, path = '', depth = 1, after, limit = Infinity } = call.query
      const { older, newer } = await compared(call.params, from)
      const last = after === undefined ? undefined : parsePath(after)
      let left = limit
      for await (const sum of objects.diffSums(older, newer, parsePath(path), depth)) {
        if (last !== undefined && !comesLater(sum.path, last)) continue
        if (left-- <= 0) return
        yield sum
      }
    },

    'PUT /projects/:project/repos/:repo/branches/:branch/file': async (call) => {
      const path = parseFilePath(call.query.path)
      const { append, offset, delete: deleteBytes } = call.query
      if (offset === undefined ? deleteBytes !== undefined : append)
        throw new VarveError(
          'INVALID_OPTION',
          `cannot write "${path}": "delete" goes with "offset", and "append" without it`,
        )
      if (offset !== undefined) await requirePath(call.params, path)
      return write(call.params, call.query.message, call.request, async (writer) => {
        if (append || offset !== undefined) {
          const { content, ...counted } = countedBytes(call.body)
          if (offset === undefined) await writer.append(path, content)
          else await writer.patch(path, [{ offset, deleteBytes: deleteBytes ?? 0, content }])
          call.sign(counted.sha256())
          return { files: 1, bytes: counted.sizeBytes() }
        }
        const entry = await writer.put(path, call.body)
        call.sign(entry.digest)
        return { files: 1, bytes: entry.sizeBytes }
      })
    },

    'PUT /projects/:project/repos/:repo/branches/:branch/files': async (call) => {
      const base = parsePath(call.query.path ?? '')
      return write(call.params, call.query.message, call.request, async (writer) => {
        const counted = countedBytes(call.body)
        const sum = await putArchive(writer, counted.content, base)
        call.sign(counted.sha256())
        return sum
      })
    },

    'DELETE /projects/:project/repos/:repo/branches/:branch/file': async (call) => {
      const path = parsePath(call.query.path)
      await requirePath(call.params, path)
      return write(call.params, call.query.message, call.request, async (writer) => {
        await writer.delete(path)
        return { files: 1, bytes: 0 }
      })
    },
  }
}

/** Of directories each of which stands after those below it. */
function comesLater(path: Path, other: Path): boolean {
  const isAbove = (dir: Path, one: Path): boolean =>
    dir !== one && (dir === ROOT || one.startsWith(`${dir}/`))
  if (isAbove(path, other)) return true
  return !isAbove(other, path) && comparePaths(path, other) > 0
}

async function* viewed(entries: AsyncIterable<TreeEntry>): AsyncGenerator<FileView> {
  for await (const entry of entries) yield fileView(entry)
}

function diffLine(change: {
  readonly path: Path
  readonly old: FileEntry | undefined
  readonly new: FileEntry | undefined
}): DiffLine {
  const side = (entry: FileEntry | undefined): DiffLine['old'] =>
    entry ? { bytes: entry.sizeBytes, digest: entry.digest } : null
  return {
    path: change.path,
    change: change.old ? (change.new ? 'changed' : 'deleted') : 'added',
    old: side(change.old),
    new: side(change.new),
  }
}
