// A server over a folder, with a repo to put into, and the command line in front of it, as its user has them.

import { resolve } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openEmbedded } from '../../src/main/embedded.ts'
import { idSource } from '../../src/model/id.ts'
import type { Cost } from './cost.ts'
import { runCommand } from './cost.ts'

const CLI = resolve(import.meta.dirname, '../../src/main/varve.mjs')

export interface Put {
  readonly source: string
  readonly folder: string
}

/** With the repo "repo". */
export async function openServer(folder: string): ReturnType<typeof openEmbedded> {
  const varve = await openEmbedded({ data: folder, port: 0, maxUploadBytes: 2 ** 50 })
  const id = idSource(systemClock, systemRandom)()
  await varve.versions.propose('default', [{ op: 'repo.create', name: 'repo' }], {
    id,
    principal: 'bench',
  })
  return varve
}

/** A file, or all of a folder with `-r`, by `varve file put`. @returns what the client cost */
export async function putByCli({ source, folder }: Put, ...options: string[]): Promise<Cost> {
  const varve = await openServer(folder)
  const put = ['file', 'put', ...options, '-f', source, 'repo@master:/put']
  const env = { VARVE_SERVER: varve.url, VARVE_TOKEN: varve.token }
  const cost = await runCommand([process.execPath, CLI, ...put], { env, cwd: folder })
  await varve.close()
  return cost
}
