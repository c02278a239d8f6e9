import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { work } from '../../src/main/work.ts'
import type { WorkOptions } from '../../src/main/work.ts'

describe('workers with a token that is renewed in place', () => {
  let folder: string
  let tokenFile: string
  let options: WorkOptions
  /** Called with each token that is shown; whether it is let in. */
  let letIn: (token: string) => boolean
  const server = createServer((request, response) => {
    const token = (request.headers.authorization ?? '').replace('Bearer ', '')
    response.statusCode = letIn(token) ? 204 : 401
    response.end()
  })

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varve-work-test-'))
    tokenFile = join(folder, 'token')
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    options = { server: url, token: 'old', tokenFile, pool: 'p', scratch: folder, workers: 1 }
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('refused with the old one, they go on with the new one', async () => {
    const stop = new AbortController()
    const shown = new Set<string>()
    letIn = (token) => {
      shown.add(token)
      writeFileSync(tokenFile, 'new\n')
      if (token === 'new') stop.abort()
      return token === 'new'
    }
    await work(options, stop.signal)
    expect([...shown]).toEqual(['old', 'new'])
  })

  test('refused with the one that is there, they end', async () => {
    writeFileSync(tokenFile, 'old')
    letIn = () => false
    const never = new AbortController().signal
    await expect(work(options, never)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    await expect(work({ ...options, tokenFile: undefined }, never)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    })
  })

  test('in a pod there is one worker', async () => {
    const never = new AbortController().signal
    await expect(work({ ...options, inPod: true, workers: 2 }, never)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  })
})
