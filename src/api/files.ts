import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { CommitId, nullable, oneOf } from './shapes.ts'

export const FileView = Type.Object({
  kind: oneOf(['file', 'dir']),
  path: Type.String({ description: 'Without a leading slash' }),
  bytes: Type.Number(),
  files: Type.Integer({ description: 'Files below a directory; 1 for a file' }),
  digest: Type.String({ description: '64 hex digits; equal exactly when content is equal' }),
})
export type FileView = Static<typeof FileView>

const Side = nullable(Type.Object({ bytes: Type.Number(), digest: Type.String() }))
export const DiffLine = Type.Object({
  path: Type.String(),
  change: oneOf(['added', 'changed', 'deleted']),
  old: Side,
  new: Side,
})
export type DiffLine = Static<typeof DiffLine>

export const PutResult = Type.Object({
  repo: Type.String(),
  branch: Type.String(),
  commit: CommitId,
  /** False: it went into the open commit, to be finished. */
  finished: Type.Boolean(),
  files: Type.Integer({ description: 'Files written by this request' }),
  bytes: Type.Number(),
})
export type PutResult = Static<typeof PutResult>

const Path = Type.String({ maxLength: 4096, description: 'Inside the repo; "/" is its root' })
const Message = Type.Optional(Type.String({ maxLength: 4096 }))

export const getFile = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/file',
  permission: 'repo:read',
  summary: 'Content of a file; answers Range',
  query: Type.Object({ path: Path, download: Type.Optional(Type.Boolean()) }),
  answer: 'bytes',
})

export const ChecksumView = Type.Object({
  sha256: Type.String({ description: 'Of the bytes asked for, in hex' }),
  bytes: Type.Number({ description: 'How many they are' }),
  digest: Type.String({ description: 'Of the whole file, as in a listing and in ETag' }),
})

export const getChecksum = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/checksum',
  permission: 'repo:read',
  summary: 'SHA-256 of a file or of a part of it: to compare with what came elsewhere',
  query: Type.Object({
    path: Path,
    offset: Type.Optional(Type.Integer({ minimum: 0 })),
    length: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
  answer: { json: ChecksumView },
})

/** Some of the files below a directory, in path order: whoever broke off goes on in the middle. */
const After = Type.Optional(
  Type.String({ maxLength: 4096, description: 'Files after this one, a path inside the repo' }),
)
const To = Type.Optional(
  Type.String({ maxLength: 4096, description: 'Up to this one and with it' }),
)

export const SumView = Type.Object({
  path: Type.String({ description: 'Without a leading slash' }),
  bytes: Type.Number(),
  digest: Type.String({ description: 'As in a listing' }),
  sha256: Type.String({ description: 'Of its content, in hex' }),
})

export const getChecksums = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/checksums',
  permission: 'repo:read',
  summary: 'SHA-256 of every file below a directory, in path order',
  query: Type.Object({ path: Type.Optional(Path), after: After, to: To }),
  answer: { lines: SumView },
})

export const getFiles = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/files',
  permission: 'repo:read',
  summary: 'Everything below a directory, as a tar archive',
  query: Type.Object({ path: Type.Optional(Path), after: After, to: To }),
  answer: 'tar',
})

export const statFile = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/stat',
  permission: 'repo:read',
  summary: 'One file or directory',
  query: Type.Object({ path: Path }),
  answer: { json: FileView },
})

export const listFiles = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/ls',
  permission: 'repo:read',
  summary: 'Children of a directory, in byte order of their names, or all files below it',
  query: Type.Object({
    path: Type.Optional(Path),
    recursive: Type.Optional(
      Type.Boolean({ description: 'All files below, in path order: no directories' }),
    ),
    after: Type.Optional(
      Type.String({
        maxLength: 4096,
        description: 'Strictly after this name; with `recursive` after this path inside the repo',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  answer: { lines: FileView },
})

export const globFiles = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/glob',
  permission: 'repo:read',
  summary: 'Files and directories that match, in path order',
  query: Type.Object({
    pattern: Type.String({ maxLength: 4096 }),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  answer: { lines: FileView },
})

export const diffFiles = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/diff',
  permission: 'repo:read',
  summary: 'Files that differ from an older commit, in path order',
  query: Type.Object({
    from: Type.Optional(Type.String({ description: 'Default: the nearest ancestor that is kept' })),
    path: Type.Optional(Path),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  answer: { lines: DiffLine },
})

const Counted = Type.Object({ files: Type.Integer(), bytes: Type.Number() })
export const DiffSum = Type.Object({
  path: Type.String({ description: 'A directory, without a leading slash' }),
  added: Counted,
  changed: Type.Object({
    files: Type.Integer(),
    oldBytes: Type.Number(),
    newBytes: Type.Number(),
  }),
  deleted: Counted,
})
export type DiffSum = Static<typeof DiffSum>

export const sumDiff = defineRoute({
  method: 'GET',
  path: '/projects/:project/repos/:repo/commits/:ref/diff/stat',
  permission: 'repo:read',
  summary:
    'What differs from an older commit, summed up by directory: each after those below it, the whole last',
  query: Type.Object({
    from: Type.Optional(Type.String({ description: 'Default: the nearest ancestor that is kept' })),
    path: Type.Optional(Path),
    depth: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          'Levels of directories below the path, default 1. One that is new or gone is not taken apart',
      }),
    ),
    after: Type.Optional(
      Type.String({ maxLength: 4096, description: 'What comes after this directory' }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
  answer: { lines: DiffSum },
})

export const putFile = defineRoute({
  method: 'PUT',
  path: '/projects/:project/repos/:repo/branches/:branch/file',
  permission: 'repo:write',
  summary: 'Write one file: a commit of its own, or into the open commit of the branch',
  query: Type.Object({
    path: Path,
    append: Type.Optional(Type.Boolean({ description: 'Add to the end of what is there' })),
    offset: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Patch what is there: insert from this byte on' }),
    ),
    delete: Type.Optional(
      Type.Integer({ minimum: 0, description: 'With `offset`: so many bytes give way' }),
    ),
    message: Message,
  }),
  body: 'bytes',
  answer: { json: PutResult },
})

export const putFiles = defineRoute({
  method: 'PUT',
  path: '/projects/:project/repos/:repo/branches/:branch/files',
  permission: 'repo:write',
  summary: 'Write every file of a tar archive, in one commit',
  query: Type.Object({
    path: Type.Optional(Type.String({ maxLength: 4096, description: 'Below this directory' })),
    message: Message,
  }),
  body: 'tar',
  answer: { json: PutResult },
})

export const deleteFile = defineRoute({
  method: 'DELETE',
  path: '/projects/:project/repos/:repo/branches/:branch/file',
  permission: 'repo:write',
  summary: 'Delete a file, or everything below a directory',
  query: Type.Object({ path: Path, message: Message }),
  answer: { json: PutResult },
})
