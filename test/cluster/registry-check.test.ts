import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { Check } from '../../src/base/check.ts'
import { systemClock as clock } from '../../src/base/clock.ts'
import { checkRegistry } from '../../src/events/registry-check.ts'
import { freePort } from '../services/process.ts'
import { registryAvailable } from '../services/registry.ts'
import { shared } from '../services/shared.ts'

async function examine(url: string): Promise<Check[]> {
  const checks: Check[] = []
  for await (const check of checkRegistry(url, { clock, fetch })) checks.push(check)
  return checks
}

describe.runIf(registryAvailable)('checkRegistry', () => {
  test('a registry that is well, also behind a password', async () => {
    const url = await shared('registry')
    expect((await examine(url)).map(({ state }) => state)).toEqual(['ok', 'ok'])
    const withPassword = url.replace('//', '//user:secret@')
    const checks = await examine(withPassword)
    expect(checks.map(({ state }) => state)).toEqual(['ok', 'ok'])
    expect(JSON.stringify(checks)).not.toContain('secret')
  })

  test('nobody, something else, a path that is not the API', async () => {
    const [nobody] = await examine(`http://127.0.0.1:${await freePort()}`)
    expect(nobody).toMatchObject({ state: 'failed', found: expect.stringMatching(/ECONNREFUSED/) })
    const [path] = await examine(new URL('/', await shared('registry')).href)
    expect(path).toMatchObject({ state: 'failed', remedy: expect.stringMatching(/ccompat/) })
    const other = createServer((_, response) => response.writeHead(401).end()).listen(
      0,
      '127.0.0.1',
    )
    await once(other, 'listening')
    const [denied] = await examine(`http://127.0.0.1:${(other.address() as AddressInfo).port}`)
    other.close()
    expect(denied).toMatchObject({ state: 'failed', found: 'access denied (401)' })
  })
})
