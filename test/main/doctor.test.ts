import { expect, test } from 'vitest'
import type { Check } from '../../src/base/check.ts'
import { clientSide, doctorArgs } from '../../src/main/doctor.ts'
import { VERSION } from '../../src/main/version.ts'

test('--server without an address asks for the server side, with one it is an address', () => {
  expect(doctorArgs(['doctor', '--server', '-o', 'json'])).toEqual([
    'doctor',
    '--of-a-server',
    '-o',
    'json',
  ])
  expect(doctorArgs(['doctor', '--server'])).toEqual(['doctor', '--of-a-server'])
  for (const args of [
    ['doctor', '--server', 'http://x'],
    ['repo', 'list', '--server'],
  ])
    expect(doctorArgs(args)).toEqual(args)
})

const NOW = Date.parse('2026-01-01T00:00:00.500Z')

async function examined(
  answers: Readonly<Record<string, () => Response>>,
  atMs = NOW,
): Promise<Record<string, Check>> {
  const checks = clientSide(
    { server: 'http://server', token: 'token' },
    {
      env: {},
      cwd: '/',
      nowMs: () => atMs,
      signal: new AbortController().signal,
      stdin: (async function* () {})(),
      stdout: process.stdout,
      stderr: process.stderr,
      fetch: ((url: string) => {
        const answer = answers[new URL(url).pathname]
        return answer ? Promise.resolve(answer()) : Promise.reject(new TypeError('refused'))
      }) as typeof fetch,
    },
  )
  return Object.fromEntries((await Array.fromAsync(checks)).map((one) => [one.what, one]))
}

const date = { date: 'Thu, 01 Jan 2026 00:00:00 GMT' }
const HEALTHY = {
  '/api/v1/version': () => Response.json({ version: VERSION }, { headers: date }),
  '/readyz': () => Response.json({ status: 'ok' }),
  '/api/v1/projects': () => Response.json({ items: [] }),
}

test('a healthy server: every check is well', async () => {
  const checks = Object.values(await examined(HEALTHY))
  expect(checks.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => 'ok'))
})

test('each thing that can be wrong is named, with what to do', async () => {
  expect(await examined({})).toMatchObject({
    server: { state: 'failed', found: 'no answer: refused' },
  })
  const other = { '/api/v1/version': () => new Response('<html>') }
  expect(await examined(other)).toMatchObject({
    server: { found: 'it answers 200, and not as a Varve server' },
  })
  const wrong = await examined(
    {
      '/api/v1/version': () => Response.json({ version: '9.9.9' }, { headers: date }),
      '/readyz': () => Response.json({ detail: 'cannot serve: Kafka' }, { status: 503 }),
      '/api/v1/projects': () => new Response('', { status: 401 }),
    },
    NOW + 90_000,
  )
  expect(wrong).toMatchObject({
    'version of the server': { state: 'warning', found: `9.9.9, this program is ${VERSION}` },
    clock: { state: 'failed', found: "90.0 s ahead of the server's" },
    'readiness of the server': { state: 'failed', found: 'cannot serve: Kafka' },
    token: { state: 'failed', found: 'refused' },
  })
  for (const check of Object.values(wrong))
    expect(check.remedy === undefined, check.what).toBe(check.state === 'ok')
  expect(await examined(HEALTHY, NOW - 20_000)).toMatchObject({
    clock: { state: 'warning', found: "20.0 s behind the server's" },
  })
})
