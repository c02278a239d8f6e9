// The one table of operating errors. HTTP status, exit code, retry and remedy are looked up here and
// nowhere else; docs/errors.md is generated from it and test/tidy compares both ways.
// Messages say the action, then what was found, values quoted, no final period:
//   `cannot read "a/b" of "events@master": no such path`

type ErrorKind =
  | 'invalid'
  | 'not-found'
  | 'conflict'
  | 'denied'
  | 'exhausted'
  | 'unavailable'
  | 'corrupt'
  | 'bug'

export interface ErrorSpec {
  readonly kind: ErrorKind
  /** HTTP status of a problem+json answer. */
  readonly status: number
  /** Exit code of the CLI: 1 error, 2 usage, 3 not found, 4 conflict, 5 unavailable. */
  readonly exit: 1 | 2 | 3 | 4 | 5
  /** Whether the same request may succeed when it is sent again unchanged. */
  readonly retry: boolean
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** One line: what the reader can do next. */
  readonly remedy: string
}

const notFound = (what: string, list: string): ErrorSpec => ({
  kind: 'not-found',
  status: 404,
  exit: 3,
  retry: false,
  level: 'debug',
  remedy: `check the ${what}; ${list}`,
})
const invalid = (remedy: string): ErrorSpec => ({
  kind: 'invalid',
  status: 400,
  exit: 2,
  retry: false,
  level: 'debug',
  remedy,
})
const conflict = (remedy: string): ErrorSpec => ({
  kind: 'conflict',
  status: 409,
  exit: 4,
  retry: false,
  level: 'debug',
  remedy,
})

export const ERRORS = {
  NOT_FOUND_PROJECT: notFound('project', 'varve project list shows what exists'),
  NOT_FOUND_REPO: notFound('repo', 'varve repo list shows what exists'),
  NOT_FOUND_BRANCH: notFound('branch', 'varve branch list REPO shows what exists'),
  NOT_FOUND_COMMIT: notFound('commit', 'varve commit list REPO shows what exists'),
  NOT_FOUND_PATH: notFound('path', 'varve file ls REPO@BRANCH shows what exists'),
  NOT_FOUND_PIPELINE: notFound('pipeline', 'varve pipeline list shows what exists'),
  NOT_FOUND_JOB: notFound('job', 'varve job list shows what exists'),
  NOT_FOUND_POOL: notFound('pool', 'varve pool list shows what exists'),
  NOT_FOUND_DATUM: notFound('datum', 'varve datum list PIPELINE@JOB shows what exists'),
  NOT_FOUND_SPOUT: notFound('spout', 'varve spout list shows what exists'),
  NOT_FOUND_EGRESS: notFound('egress', 'varve egress list shows what exists'),
  NOT_FOUND_PURGE: notFound('purge', 'varve purge list shows what there was'),
  NOT_FOUND_UPLOAD: notFound(
    'upload',
    'varve upload list shows what is under way; what was given up is to be sent anew',
  ),
  NOT_FOUND_ROUTE: notFound('address', 'GET /api/v1/openapi.json lists every route'),
  ALREADY_EXISTS: conflict('choose another name, or update what exists'),
  INVALID_SPEC: invalid('mend the spec where the message points, then send it again'),
  INVALID_PATH: invalid('use a relative UTF-8 (NFC) path without empty, "." or ".." parts'),
  INVALID_REF: invalid('write it as repo@branch, repo@commit or repo@branch:/path'),
  INVALID_OPTION: invalid('see --help for the option and its values'),
  PATH_CONFLICT: conflict('read the newest version of the path and make the change again'),
  HEAD_MOVED: conflict('the branch moved since; look at its head and send the change again'),
  STALE_SOURCE: conflict('nothing to do: another writer already recorded this part of the source'),
  SESSION_CLOSED: {
    kind: 'conflict',
    status: 409,
    exit: 4,
    retry: true,
    level: 'info',
    remedy: 'send it again: what it was built on was being collected meanwhile',
  },
  STALE_STATE: conflict('nothing to do: the state this continues has moved on'),
  NOT_OPEN: conflict('start a new commit: this one has ended'),
  OUTPUT_BRANCH: conflict('commit to a branch above it: this one is made from others'),
  HAS_CHILDREN: conflict('remove what depends on it first'),
  CYCLE: conflict('take the edge away that closes the circle'),
  EXPIRED: conflict('send it again as a new request: no decision was made on this one in time'),
  KEY_REUSED: conflict('use a new Idempotency-Key: this one belongs to a different request'),
  CLOCK_AHEAD: invalid('set the clock: the request id lies over 60 s in the future'),
  UNAUTHENTICATED: {
    kind: 'denied',
    status: 401,
    exit: 1,
    retry: false,
    level: 'info',
    remedy: 'send the token of the server: it is in the file "token" of its data folder',
  },
  FORBIDDEN: {
    kind: 'denied',
    status: 403,
    exit: 1,
    retry: false,
    level: 'info',
    remedy: 'ask the owner of the project for the right to do this',
  },
  QUOTA: {
    kind: 'exhausted',
    status: 429,
    exit: 1,
    retry: true,
    level: 'info',
    remedy: 'wait, or ask for a higher limit',
  },
  TOO_LARGE: {
    kind: 'exhausted',
    status: 413,
    exit: 1,
    retry: false,
    level: 'info',
    remedy: 'send it in smaller parts',
  },
  DISK_FULL: {
    kind: 'exhausted',
    status: 507,
    exit: 5,
    retry: true,
    level: 'error',
    remedy:
      'free space on the disk of the data folder; nothing acknowledged was lost and reads go on',
  },
  DATA_IN_USE: {
    kind: 'conflict',
    status: 409,
    exit: 4,
    retry: false,
    level: 'error',
    remedy: 'stop the other server of this data folder, or give --data another folder',
  },
  UNAVAILABLE: {
    kind: 'unavailable',
    status: 503,
    exit: 5,
    retry: true,
    level: 'warn',
    remedy:
      'try again in a moment; if it stays, look whether the server and what it needs are running',
  },
  MISCONFIGURED: {
    kind: 'unavailable',
    status: 500,
    exit: 5,
    retry: false,
    level: 'error',
    remedy:
      'waiting does not help: mend what the message names; varve doctor --server examines what a server needs',
  },
  CORRUPT: {
    kind: 'corrupt',
    status: 500,
    exit: 1,
    retry: false,
    level: 'error',
    remedy:
      'run varve verify, or varve fsck on the folder of a stopped server: stored bytes do not match their id and were not served',
  },
  CODE_FAILED: {
    kind: 'invalid',
    status: 422,
    exit: 1,
    retry: false,
    level: 'info',
    remedy: 'read the log of the failed datum, mend the code, put the pipeline again',
  },
  INTERNAL: {
    kind: 'bug',
    status: 500,
    exit: 1,
    retry: false,
    level: 'error',
    remedy: 'report it with the message and the log of the server',
  },
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof ERRORS

/** An operating error: something a user or the world caused, with a code of the table. */
export class VarveError extends Error {
  readonly code: ErrorCode
  /** What a program needs to act on it (names, positions, suggestions); JSON values only. */
  readonly details: Record<string, unknown> | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'VarveError'
    this.code = code
    this.details = options.details
  }

  get spec(): ErrorSpec {
    return ERRORS[this.code]
  }
}

export function isVarveError(error: unknown, code?: ErrorCode): error is VarveError {
  return error instanceof VarveError && (code === undefined || error.code === code)
}

/** Total: whatever was thrown becomes an error of the table. */
export function toVarveError(error: unknown): VarveError {
  if (error instanceof VarveError) return error
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new VarveError('DISK_FULL', `cannot write: ${message ?? code}`, { cause: error })
  return new VarveError('INTERNAL', message ?? String(error), { cause: error })
}
