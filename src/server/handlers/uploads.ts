import type { PartView, UploadView } from '../../api/uploads.ts'
import { VarveError } from '../../base/errors.ts'
import type { BranchKey } from '../../model/entities.ts'
import type { Id } from '../../model/id.ts'
import { isId } from '../../model/id.ts'
import { parseName } from '../../model/name.ts'
import { parseFilePath, parsePath } from '../../model/path.ts'
import { noUpload } from '../../versions/upload-rows.ts'
import type { Part } from '../../versions/upload-rows.ts'
import { MAX_PARTS } from '../../versions/uploads.ts'
import type { Upload } from '../../versions/uploads.ts'
import type { Handlers } from '../call.ts'
import type { Context } from '../context.ts'
import { requireProject, requireRepo } from '../find.ts'
import { countedBytes, putArchive } from '../incoming.ts'

type UploadHandlers = Pick<
  Handlers,
  | 'GET /projects/:project/uploads'
  | 'POST /projects/:project/repos/:repo/branches/:branch/uploads'
  | 'GET /projects/:project/repos/:repo/branches/:branch/uploads'
  | 'GET /projects/:project/repos/:repo/branches/:branch/uploads/:upload'
  | 'GET /projects/:project/repos/:repo/branches/:branch/uploads/:upload/parts'
  | 'PUT /projects/:project/repos/:repo/branches/:branch/uploads/:upload/segments/:part'
  | 'PUT /projects/:project/repos/:repo/branches/:branch/uploads/:upload/batches/:part'
  | 'POST /projects/:project/repos/:repo/branches/:branch/uploads/:upload/finish'
  | 'DELETE /projects/:project/repos/:repo/branches/:branch/uploads/:upload'
>

export function uploadHandlers({ versions }: Context): UploadHandlers {
  const { uploads } = versions

  return {
    'POST /projects/:project/repos/:repo/branches/:branch/uploads': async (call) => {
      const { project, repo } = call.params
      await requireRepo(versions, project, repo)
      const { source = '', message = '' } = call.body
      const about = { source, message }
      return uploadView(await uploads.open(project, keyOf(call.params), about, call.request))
    },

    'GET /projects/:project/repos/:repo/branches/:branch/uploads': async function* ({
      params,
      query,
    }) {
      await requireRepo(versions, params.project, params.repo)
      for await (const one of uploads.list(params.project, keyOf(params)))
        if (query.source === undefined || query.source === one.source) yield uploadView(one)
    },

    'GET /projects/:project/uploads': async function* ({ params: { project }, query }) {
      const { repo, branch } = query
      if (repo === undefined) await requireProject(versions, project)
      else await requireRepo(versions, project, repo)
      const of = {
        ...(repo === undefined ? {} : { repo }),
        ...(branch === undefined ? {} : { branch: parseName('branch', branch) }),
      }
      for await (const one of uploads.list(project, of)) yield uploadView(one)
    },

    'GET /projects/:project/repos/:repo/branches/:branch/uploads/:upload': async ({ params }) =>
      uploadView(await uploads.get(params.project, keyOf(params), idOf(params))),

    'GET /projects/:project/repos/:repo/branches/:branch/uploads/:upload/parts': async function* ({
      params,
    }) {
      for await (const part of uploads.parts(params.project, keyOf(params), idOf(params)))
        yield partView(part)
    },

    'PUT /projects/:project/repos/:repo/branches/:branch/uploads/:upload/segments/:part': async (
      call,
    ) => {
      const { params, query } = call
      const { offset, totalBytes, mark = '' } = query
      const path = parseFilePath(query.path)
      const counted = countedBytes(call.body)
      const files = offset === 0 ? 1 : 0
      const part = await uploads.add(
        params.project,
        keyOf(params),
        idOf(params),
        partOf(params),
        {
          write: async (writer) => {
            const { sizeBytes } = await writer.put(path, counted.content)
            if (offset + sizeBytes > totalBytes)
              throw new VarveError(
                'INVALID_OPTION',
                `cannot take ${sizeBytes} bytes from ${offset} on: "${path}" is to have ${totalBytes}`,
              )
            const sha256 = counted.sha256()
            return { kind: 'segment', path, offset, totalBytes, files, sizeBytes, sha256, mark }
          },
          read: async () => ({ sha256: await readThrough(counted) }),
        },
        path,
      )
      return partView(part)
    },

    'PUT /projects/:project/repos/:repo/branches/:branch/uploads/:upload/batches/:part': async (
      call,
    ) => {
      const { params, query } = call
      const base = parsePath(query.path ?? '')
      const counted = countedBytes(call.body)
      const about = { kind: 'batch', path: base, offset: 0, totalBytes: 0 } as const
      const { mark = '' } = query
      const part = await uploads.add(params.project, keyOf(params), idOf(params), partOf(params), {
        write: async (writer) => {
          const { files, bytes } = await putArchive(writer, counted.content, base)
          return { ...about, files, sizeBytes: bytes, sha256: counted.sha256(), mark }
        },
        read: async () => ({ sha256: await readThrough(counted) }),
      })
      return partView(part)
    },

    'POST /projects/:project/repos/:repo/branches/:branch/uploads/:upload/finish': async (call) => {
      const key = keyOf(call.params)
      const { project } = call.params
      const { parts } = call.body
      const made = await uploads.finish(project, key, idOf(call.params), parts, call.request)
      return { ...key, ...made }
    },

    'DELETE /projects/:project/repos/:repo/branches/:branch/uploads/:upload': ({ params }) =>
      uploads.drop(params.project, keyOf(params), idOf(params)),
  }
}

function keyOf(params: { readonly repo: string; readonly branch: string }): BranchKey {
  return { repo: params.repo, branch: parseName('branch', params.branch) }
}

function idOf({ upload }: { readonly upload: string }): Id {
  if (isId(upload)) return upload
  throw noUpload(upload)
}

function partOf({ part }: { readonly part: string }): number {
  const number = /^\d{1,7}$/.test(part) ? Number(part) : MAX_PARTS
  if (number < MAX_PARTS) return number
  throw new VarveError(
    'INVALID_OPTION',
    `cannot take part "${part}": parts are numbered from 0 to ${MAX_PARTS - 1}`,
  )
}

async function readThrough(counted: ReturnType<typeof countedBytes>): Promise<string> {
  for await (const _ of counted.content);
  return counted.sha256()
}

function uploadView({ id, ...upload }: Upload): UploadView {
  return { upload: id, ...upload }
}

function partView(one: Part): PartView {
  const { part, kind, path, offset, totalBytes, files, sizeBytes, sha256, mark } = one
  return { part, kind, path, offset, totalBytes, files, bytes: sizeBytes, sha256, mark }
}
