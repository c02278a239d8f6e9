// The registry over HTTP, as its readers ask it.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { fingerprint } from '../../src/events/canonical.ts'
import { eventTypes } from '../../src/events/catalogue.ts'
import { registryRoutes } from '../../src/server/registry.ts'
import { makeWorld } from '../server/world.ts'
import type { World } from '../server/world.ts'

const TOPIC = 'mine.events.v1'
const NAME = 'dev.varve.commit.v1.CommitFinished'
const SUBJECT = `${TOPIC}-${NAME}`

let world: World

beforeAll(async () => {
  world = await makeWorld({ extensions: [registryRoutes({ topic: TOPIC, version: '1.2.3' })] })
})
afterAll(() => world.close())

/** Without a token. */
async function ask(path: string, init: RequestInit = {}): Promise<{ status: number; body: never }> {
  const answer = await fetch(`${world.url}/registry${path}`, init)
  expect(answer.headers.get('content-type')).toBe('application/vnd.schemaregistry.v1+json')
  return { status: answer.status, body: (await answer.json()) as never }
}

const post = (path: string, schema: unknown): ReturnType<typeof ask> =>
  ask(path, { method: 'POST', body: JSON.stringify({ schema: JSON.stringify(schema) }) })

test('a schema is found by the id in the bytes, whatever subject the reader has in mind', async () => {
  for (const { versions } of eventTypes())
    for (const { id, ...version } of versions) {
      const { status, body } = await ask(
        `/schemas/ids/${id}?subject=anything-value&fetchMaxId=false`,
      )
      expect(status).toBe(200)
      const { schema } = body as { schema: string }
      expect(fingerprint(JSON.parse(schema) as never)).toBe(version.fingerprint)
    }
  expect((await ask('/schemas/ids/2/versions')).body).toEqual([{ subject: SUBJECT, version: 1 }])
  expect((await ask('/schemas/ids/2/subjects')).body).toEqual([SUBJECT])
  expect((await ask('/schemas/ids/2/schema')).body).toMatchObject({ name: 'CommitFinished' })
  expect((await ask('/schemas/types')).body).toEqual(['AVRO'])
})

test('every type is a subject of its own', async () => {
  const subjects = (await ask('/subjects')).body as string[]
  expect(subjects).toContain(SUBJECT)
  expect(subjects).toHaveLength(eventTypes().length)
  for (const subject of subjects) {
    expect((await ask(`/subjects/${subject}/versions`)).body).toEqual([1])
    for (const version of ['1', 'latest', '-1']) {
      const { body } = await ask(`/subjects/${subject}/versions/${version}`)
      const { id, schema } = body as { id: number; schema: string }
      expect(body).toEqual({ subject, version: 1, id, schema })
      expect((await ask(`/schemas/ids/${id}`)).body).toEqual({ schema })
    }
  }
  const raw = (await ask(`/subjects/${SUBJECT}/versions/latest/schema`)).body
  expect(raw).toMatchObject({ type: 'record', name: 'CommitFinished' })
})

test('a schema is looked up in the subjects of every strategy', async () => {
  const { schema, id } = (await ask(`/subjects/${SUBJECT}/versions/1`)).body as {
    schema: string
    id: number
  }
  const { doc: _, ...same } = JSON.parse(schema) as Record<string, unknown>
  for (const [subject, version] of [
    [SUBJECT, 1],
    [NAME, 1],
    [`${TOPIC}-value`, id],
  ] as const)
    expect((await post(`/subjects/${subject}?normalize=true`, same)).body).toMatchObject({
      subject,
      id,
      version,
    })
  expect((await post(`/subjects/${SUBJECT}`, 'string')).body).toMatchObject({ error_code: 40403 })
  const bad = await ask(`/subjects/${SUBJECT}`, { method: 'POST', body: '{"schema": "{"}' })
  expect(bad).toMatchObject({ status: 422, body: { error_code: 42201 } })
})

test('settings say that it is only read', async () => {
  for (const path of ['/config', `/config/${SUBJECT}`])
    expect((await ask(path)).body).toEqual({ compatibilityLevel: 'FULL_TRANSITIVE' })
  expect((await ask('/mode')).body).toEqual({ mode: 'READONLY' })
})

test.each([
  ['POST', `/subjects/${SUBJECT}/versions`, 405, 405],
  ['DELETE', `/subjects/${SUBJECT}`, 405, 405],
  ['PUT', '/config', 405, 405],
  ['PUT', '/mode', 405, 405],
  ['GET', '/subjects/nobody/versions', 404, 40401],
  ['POST', '/subjects/nobody', 404, 40401],
  ['GET', `/subjects/${SUBJECT}/versions/2`, 404, 40402],
  ['GET', `/subjects/${SUBJECT}/versions/zero`, 422, 42202],
  ['GET', '/schemas/ids/9999', 404, 40403],
  ['GET', '/config/nobody', 404, 40401],
  ['GET', '/nothing/here', 404, 404],
])('%s %s is refused in the words of a registry: %i', async (method, path, status, code) => {
  const body = method === 'GET' ? {} : { body: '{"schema": "\\"string\\""}' }
  const answer = await ask(path, { method, ...body })
  expect(answer).toMatchObject({ status, body: { error_code: code, message: expect.any(String) } })
})

test('the AsyncAPI document lies beside it', async () => {
  const answer = await fetch(`${world.url}/asyncapi.yaml`)
  expect(answer.headers.get('content-type')).toContain('application/yaml')
  const text = await answer.text()
  expect(text).toMatch(/^asyncapi: 3\.0\.0\n/)
  expect(text).toContain('version: 1.2.3')
})
