// Where the server is: flags, then VARVE_SERVER and VARVE_TOKEN, then the data folder VARVE_DATA, then
// the nearest `.varve` of this folder and those above it.

import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { VarveError } from '../base/errors.ts'

export interface ServerAt {
  readonly url: string
  readonly token: string | undefined
}

/** @throws VarveError UNAVAILABLE when none is to be found */
export async function discover(given: {
  readonly server: string | undefined
  readonly token: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}): Promise<ServerAt> {
  const { env, cwd } = given
  const server = given.server ?? env['VARVE_SERVER']
  const token = given.token ?? env['VARVE_TOKEN']
  if (server !== undefined && token !== undefined) return { url: urlOf(server), token }
  const found = await findFolder(env['VARVE_DATA'], cwd)
  // A token belongs to its server: it is sent to no other one.
  if (server !== undefined)
    return { url: urlOf(server), token: found?.url === urlOf(server) ? found.token : undefined }
  if (found) return { url: found.url, token: token ?? found.token }
  throw new VarveError(
    'UNAVAILABLE',
    `cannot find a server: none is named, and no ".varve/server.json" is in "${cwd}" or above; ` +
      'start one with "npm start" or "varve dev"',
  )
}

function urlOf(text: string): string {
  const url = /^https?:\/\//.test(text) ? text : `http://${text}`
  if (!URL.canParse(url))
    throw new VarveError('INVALID_OPTION', `cannot use "${text}" as the address of a server`)
  return url.replace(/\/$/, '')
}

async function findFolder(
  dataFolder: string | undefined,
  cwd: string,
): Promise<ServerAt | undefined> {
  if (dataFolder !== undefined) return readFolder(dataFolder)
  for (let folder = cwd; ; folder = dirname(folder)) {
    const found = await readFolder(join(folder, '.varve'))
    if (found || folder === dirname(folder)) return found
  }
}

async function readFolder(folder: string): Promise<ServerAt | undefined> {
  try {
    const { url } = JSON.parse(await readFile(join(folder, 'server.json'), 'utf8')) as {
      url: string
    }
    const token = (await readFile(join(folder, 'token'), 'utf8')).trim()
    return { url, token }
  } catch {
    return undefined
  }
}
