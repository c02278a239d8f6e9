// What a pipeline runs: a command in an image, as whom, with which variables and secrets.

import type { Fields } from './spec-fields.ts'
import { compact } from './spec-fields.ts'
import type { SecretUse } from './spec-secrets.ts'
import { parsePullSecrets, parseSecrets } from './spec-secrets.ts'
import { brief, parseVariables, pathTrouble } from './spec-word.ts'

export interface TransformSpec {
  readonly image?: string
  /** Argument vector; never a shell string. */
  readonly cmd: readonly string[]
  /** Lines fed to it, joined with "\n". */
  readonly stdin?: readonly string[]
  readonly errCmd?: readonly string[]
  readonly errStdin?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly secrets?: readonly SecretUse[]
  /** Secrets with which the image is fetched. */
  readonly imagePullSecrets?: readonly string[]
  readonly workingDir?: string
  /** `1000`, `1000:100`, or a name. */
  readonly user?: string
  readonly acceptReturnCode?: readonly number[]
  /** Globs of files beside the spec that are part of the code. */
  readonly code?: readonly string[]
}

const NOT_YET: Readonly<Record<string, string>> = {
  memoryVolume: 'inputs are laid out on disk',
  datumBatching: 'one process runs for each datum',
  debug: 'logs are always kept',
  dockerfile: 'build the image before',
  build: 'build the image before',
}

const MAX_ARGUMENT_BYTES = 128 * 1024
const MAX_IMAGE_CHARS = 512
const IMAGE =
  /^(?:[A-Za-z0-9](?:[-.A-Za-z0-9]*[A-Za-z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][-.\w]{0,127})?(?:@sha256:[0-9a-f]{64})?$/
// Beyond it Kubernetes takes no user.
const MAX_ID = 2 ** 31 - 1
const USER_NAME = /^[a-z_][-a-z0-9_]{0,31}$/

export interface UserIds {
  readonly uid: number
  readonly gid: number | undefined
}

/** The numbers of `1000` and `1000:100`; undefined for a name. */
export function userIds(user: string): UserIds | undefined {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user)
  if (!match) return undefined
  return { uid: Number(match[1]), gid: match[2] === undefined ? undefined : Number(match[2]) }
}

function parseUser(fields: Fields): string | undefined {
  const given = fields.raw('user')
  if (given === undefined || given === '') return undefined
  const user = typeof given === 'number' ? String(given) : given
  if (typeof user !== 'string')
    return fields.refuse('user', 'expected a number, "uid:gid", or a name')
  const ids = userIds(user)
  if (!ids && !USER_NAME.test(user))
    fields.refuse('user', `expected a number, "uid:gid", or a name, found ${brief(user)}`)
  if (ids && Math.max(ids.uid, ids.gid ?? 0) > MAX_ID)
    fields.refuse('user', `${user} is over ${MAX_ID}`)
  return user
}

function parseImage(fields: Fields): string | undefined {
  const image = fields.string('image')
  if (image === undefined || image === '') return undefined
  if (image.length > MAX_IMAGE_CHARS || !IMAGE.test(image))
    fields.refuse('image', `${brief(image)} is not the name of an image`)
  return image
}

function parseCommand(fields: Fields, field: 'cmd' | 'errCmd'): readonly string[] | undefined {
  const command = fields.strings(field)
  if (command?.some((part) => part.includes('\0')))
    fields.refuse(field, 'an argument holds a NUL character')
  if (command?.some((part) => part.length > MAX_ARGUMENT_BYTES))
    fields.refuse(field, `an argument is over ${MAX_ARGUMENT_BYTES} bytes; use "stdin"`)
  return command
}

/** @throws VarveError INVALID_SPEC */
export function parseTransform(fields: Fields): TransformSpec {
  const cmd = parseCommand(fields, 'cmd') ?? []
  if (cmd.length === 0 || cmd[0] === '') fields.missing('cmd', 'give the program and its arguments')
  const workingDir = fields.string('workingDir')
  const trouble = workingDir === undefined ? undefined : pathTrouble(workingDir)
  if (trouble !== undefined) fields.refuse('workingDir', trouble)
  const transform = compact<TransformSpec>({
    image: parseImage(fields),
    cmd,
    stdin: fields.strings('stdin'),
    errCmd: parseCommand(fields, 'errCmd'),
    errStdin: fields.strings('errStdin'),
    env: parseVariables(fields, 'env'),
    secrets: parseSecrets(fields),
    imagePullSecrets: parsePullSecrets(fields),
    workingDir,
    user: parseUser(fields),
    acceptReturnCode: fields.ints('acceptReturnCode'),
    code: fields.strings('code'),
  })
  const held = transform.secrets?.find(
    ({ envVar }) => envVar !== undefined && Object.hasOwn(transform.env ?? {}, envVar),
  )
  if (held) fields.refuse('env', `the variable "${held.envVar}" is also given by a secret`)
  fields.end(NOT_YET)
  return transform
}
