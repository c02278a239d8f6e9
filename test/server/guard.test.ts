import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fullPath } from '../../src/api/route.ts'
import type { Route } from '../../src/api/route.ts'
import { ROUTES } from '../../src/api/routes.ts'
import { makeWorld, TOKEN } from './world.ts'
import type { World } from './world.ts'

let world: World

beforeAll(async () => {
  const consoleFolder = await mkdtemp(join(tmpdir(), 'varve-console-'))
  await writeFile(join(consoleFolder, 'index.html'), '<!doctype html><title>Varve</title>')
  await writeFile(join(consoleFolder, 'page.js'), 'export {}')
  world = await makeWorld({ consoleFolder })
})
afterAll(() => world.close())

test('every route but the public ones refuses whoever sends no token or a wrong one', async () => {
  const guarded = (ROUTES as readonly Route[]).filter((route) => route.permission !== 'public')
  expect(guarded.length).toBeGreaterThan(40)
  for (const route of guarded) {
    const url = world.url + fullPath(route).replaceAll(/:[a-z]+/g, 'x')
    for (const headers of [{}, { authorization: 'Bearer wrong' }] as Record<string, string>[]) {
      const answer = await fetch(url, { method: route.method, headers })
      const problem = (await answer.json()) as { code: string; remedy: string }
      expect([route.path, answer.status, problem.code]).toEqual([
        route.path,
        401,
        'UNAUTHENTICATED',
      ])
      expect(answer.headers.get('content-type')).toContain('application/problem+json')
    }
  }
})

test('visiting the page with the token leaves it in a cookie that only our own page can use', async () => {
  const visit = await fetch(`${world.url}/repos/x?token=${TOKEN}&tab=files`, { redirect: 'manual' })
  expect([visit.status, visit.headers.get('location')]).toEqual([302, '/repos/x?tab=files'])
  const cookie = String(visit.headers.get('set-cookie'))
  expect(cookie).toContain('HttpOnly')
  expect(cookie).toContain('SameSite=Strict')
  const [sent = ''] = cookie.split(';')
  const projects = `${world.url}/api/v1/projects`
  expect((await fetch(projects, { headers: { cookie: sent } })).status).toBe(200)
  const create = (origin: string) =>
    fetch(projects, {
      method: 'POST',
      headers: { cookie: sent, origin },
      body: JSON.stringify({ name: 'other' }),
    })
  expect((await create('http://localhost:3000')).status).toBe(403)
  expect((await create(world.url)).status).toBe(200)
  const wrong = await fetch(`${world.url}/?token=wrong`, { redirect: 'manual' })
  expect(wrong.headers.get('set-cookie')).toBeNull()
})

test('the page is served under every address of its own, with a strict policy, and never off the host', async () => {
  for (const path of ['/', '/repos/images', '/pipelines/x/jobs/1']) {
    const answer = await fetch(world.url + path)
    expect(await answer.text()).toContain('<title>Varve</title>')
    expect(answer.headers.get('content-security-policy')).toContain("script-src 'self'")
  }
  expect((await fetch(`${world.url}/page.js`)).headers.get('content-type')).toContain('javascript')
  expect((await fetch(`${world.url}/missing.js`)).status).toBe(404)
  const away = await fetch(`${world.url}//evil.example/?token=${TOKEN}`, { redirect: 'manual' })
  expect(away.headers.get('location') ?? '/').toMatch(/^\/(?!\/)/)
})

test('what nobody knows is refused with the nearest name', async () => {
  const refused = async (path: string, init?: RequestInit) => {
    const answer = await world.raw(path, init)
    return (await answer.json()) as { code: string; detail: string }
  }
  const query = await refused('/api/v1/projects?limt=3')
  expect(query).toMatchObject({
    code: 'INVALID_OPTION',
    detail: 'cannot use the query parameter "limt"; did you mean "limit"?',
  })
  expect((await refused('/api/v1/projects?limit=0')).detail).toContain('"limit"')
  const field = await refused('/api/v1/projects', { method: 'POST', body: '{"nam": "x"}' })
  expect(field.code).toBe('INVALID_OPTION')
  const json = await refused('/api/v1/projects', { method: 'POST', body: '{"name": ' })
  expect(json.detail).toContain('cannot read the body')
  expect((await refused('/api/v1/nothing')).code).toBe('NOT_FOUND_ROUTE')
  const large = await refused('/api/v1/projects', { method: 'POST', body: 'x'.repeat(2 << 20) })
  expect(large.code).toBe('TOO_LARGE')
})
