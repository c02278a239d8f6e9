// Secrets by reference: `{env: NAME}` or `{file: PATH}`, looked up where the host runs.

import { readFile } from 'node:fs/promises'
import { VarveError } from '../base/errors.ts'

/** @throws VarveError INVALID_OPTION naming the reference, never a value */
export async function resolveSecret(reference: unknown): Promise<string> {
  const { env, file } = (reference ?? {}) as { env?: unknown; file?: unknown }
  if (typeof env === 'string') {
    const value = process.env[env]
    if (value !== undefined) return value
    throw new VarveError('INVALID_OPTION', `cannot use the secret {env: ${env}}: it is not set`)
  }
  if (typeof file === 'string') {
    try {
      return (await readFile(file, 'utf8')).trimEnd()
    } catch (cause) {
      throw new VarveError('INVALID_OPTION', `cannot read the secret {file: ${file}}`, { cause })
    }
  }
  throw new VarveError('INVALID_OPTION', 'a secret is given as {env: NAME} or {file: PATH}')
}
