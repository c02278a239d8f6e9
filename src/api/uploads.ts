// Uploads: content that comes in parts over several requests and is one commit at the end. Whatever
// breaks in between, a part that was acknowledged need not be sent again.

import { Type } from 'typebox'
import type { Static } from 'typebox'
import { PutResult } from './files.ts'
import { defineRoute } from './route.ts'
import { AtMs, oneOf } from './shapes.ts'

/** A file from this size on is sent in segments of so many bytes, several at once. */
export const SEGMENT_BYTES: number = 64 << 20

const UPLOADS = '/projects/:project/repos/:repo/branches/:branch/uploads'
const Mark = Type.String({
  maxLength: 128,
  description: "The author's own, to know a part again by",
})
const Sha256 = Type.String({ description: 'SHA-256 of the bytes as they were sent, in hex' })

export const UploadView = Type.Object({
  upload: Type.String({ description: '32 hex digits' }),
  repo: Type.String(),
  branch: Type.String(),
  source: Type.String({ description: "The author's own word for where it comes from" }),
  parts: Type.Integer({ description: 'Parts that are safe' }),
  files: Type.Integer(),
  bytes: Type.Number(),
  openedAtMs: AtMs,
  expiresAtMs: Type.Number({ description: 'When it is given up if nothing more comes' }),
})
export type UploadView = Static<typeof UploadView>

export const PartView = Type.Object({
  part: Type.Integer(),
  kind: oneOf(['segment', 'batch'], 'A piece of one file, or files, whole'),
  path: Type.String({ description: 'Of a segment: its file' }),
  offset: Type.Number({ description: 'Of a segment: where in the file it begins' }),
  totalBytes: Type.Number({ description: 'Of a segment: the size of the whole file' }),
  files: Type.Integer({ description: 'Files that begin in it' }),
  bytes: Type.Number(),
  sha256: Sha256,
  mark: Type.String(),
})
export type PartView = Static<typeof PartView>

export const openUpload = defineRoute({
  method: 'POST',
  path: UPLOADS,
  permission: 'repo:write',
  summary: 'Begin an upload: nobody sees its content before it is finished',
  body: {
    json: Type.Object({
      source: Type.Optional(
        Type.String({ maxLength: 256, description: 'To find it again by; any text' }),
      ),
      message: Type.Optional(
        Type.String({ maxLength: 4096, description: 'What its commit is about' }),
      ),
    }),
  },
  answer: { json: UploadView },
})

export const listUploads = defineRoute({
  method: 'GET',
  path: UPLOADS,
  permission: 'repo:read',
  summary: 'Uploads to a branch that are not finished',
  query: Type.Object({ source: Type.Optional(Type.String({ maxLength: 256 })) }),
  answer: { lines: UploadView },
})

export const listAllUploads = defineRoute({
  method: 'GET',
  path: '/projects/:project/uploads',
  permission: 'repo:read',
  summary: 'Uploads of a project that are not finished',
  query: Type.Object({
    repo: Type.Optional(Type.String({ description: 'Those to this repo' })),
    branch: Type.Optional(Type.String({ description: 'And to this branch of it' })),
  }),
  answer: { lines: UploadView },
})

export const getUpload = defineRoute({
  method: 'GET',
  path: `${UPLOADS}/:upload`,
  permission: 'repo:read',
  summary: 'One upload',
  answer: { json: UploadView },
})

export const listParts = defineRoute({
  method: 'GET',
  path: `${UPLOADS}/:upload/parts`,
  permission: 'repo:read',
  summary: 'The parts of an upload that are safe, by number',
  answer: { lines: PartView },
})

export const putSegment = defineRoute({
  method: 'PUT',
  path: `${UPLOADS}/:upload/segments/:part`,
  permission: 'repo:write',
  summary: 'A part: a piece of one file; safe when this is answered',
  query: Type.Object({
    path: Type.String({ maxLength: 4096, description: 'The file, inside the repo' }),
    offset: Type.Integer({ minimum: 0, description: 'Where in the file it begins' }),
    totalBytes: Type.Integer({ minimum: 0, description: 'The size of the whole file' }),
    mark: Type.Optional(Mark),
  }),
  body: 'bytes',
  answer: { json: PartView },
})

export const putBatch = defineRoute({
  method: 'PUT',
  path: `${UPLOADS}/:upload/batches/:part`,
  permission: 'repo:write',
  summary: 'A part: the files of a tar archive; safe when this is answered',
  query: Type.Object({
    path: Type.Optional(Type.String({ maxLength: 4096, description: 'Below this directory' })),
    mark: Type.Optional(Mark),
  }),
  body: 'tar',
  answer: { json: PartView },
})

export const finishUpload = defineRoute({
  method: 'POST',
  path: `${UPLOADS}/:upload/finish`,
  permission: 'repo:write',
  summary: 'Make one commit of all parts, or put them into the open commit of the branch',
  body: {
    json: Type.Object({
      parts: Type.Integer({ minimum: 1, description: 'How many it has: 0 to this, without gaps' }),
    }),
  },
  answer: { json: PutResult },
})

export const dropUpload = defineRoute({
  method: 'DELETE',
  path: `${UPLOADS}/:upload`,
  permission: 'repo:write',
  summary: 'Give an upload up, with what was sent',
  answer: 'none',
})
