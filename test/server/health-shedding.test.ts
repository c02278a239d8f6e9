// New work is turned away at the door while something is away; reads go on, and what is inside ends.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { VarveError } from '../../src/base/errors.ts'
import { makeWorld } from './world.ts'
import type { World } from './world.ts'

let world: World
let away = false
beforeEach(async () => {
  away = false
  world = await makeWorld({
    acceptWork: () => {
      if (!away) return
      const details = { away: ['Kafka'], retryAfterSeconds: 5 }
      throw new VarveError('UNAVAILABLE', 'cannot take new work: Kafka is away', { details })
    },
  })
})
afterEach(() => world.close())

const BRANCH = '/api/v1/projects/default/repos/words/branches/master'

test('while something is away writes are refused with what and when, reads are answered', async () => {
  await world.client.call('POST /projects/:project/repos', {
    params: { project: 'default' },
    body: { name: 'words' },
  })
  const put = (text: string): Promise<Response> =>
    world.raw(`${BRANCH}/file?path=/a`, { method: 'PUT', body: text })
  expect((await put('before')).status).toBe(200)

  away = true
  const refused = await put('during')
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('5')
  expect(refused.headers.get('connection')).toBe('close')
  expect(await refused.json()).toMatchObject({
    code: 'UNAVAILABLE',
    detail: 'cannot take new work: Kafka is away',
    details: { away: ['Kafka'] },
  })
  const file = '/api/v1/projects/default/repos/words/commits/master/file?path=/a'
  expect(await (await world.raw(file)).text()).toBe('before')
  const asked = await world.raw('/api/v1/projects/default/pipelines/plan', { method: 'POST' })
  expect(asked.status).not.toBe(503)

  away = false
  expect((await put('after')).status).toBe(200)
  expect(await (await world.raw(file)).text()).toBe('after')
})

test('what is inside is waited for, though the door is shut behind it', async () => {
  await world.client.call('POST /projects/:project/repos', {
    params: { project: 'default' },
    body: { name: 'words' },
  })
  const pieces = new TransformStream<Uint8Array, Uint8Array>()
  const writer = pieces.writable.getWriter()
  const sending = world.raw(`${BRANCH}/file?path=/slow`, {
    method: 'PUT',
    body: pieces.readable,
    duplex: 'half',
  } as RequestInit)
  await writer.write(new TextEncoder().encode('one '))
  // Until the request is inside: the door counts it when its head arrives.
  const isIdle = async (): Promise<boolean> => {
    const soon = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 5))
    return (
      await Promise.all([Promise.race([world.server.idle().then(() => true), soon]), soon])
    )[0]
  }
  while (await isIdle());
  away = true
  let empty = false
  const emptied = world.server.idle().then(() => (empty = true))
  await world.raw('/api/v1/version')
  expect(empty).toBe(false)
  await writer.write(new TextEncoder().encode('two'))
  await writer.close()
  expect((await sending).status).toBe(200)
  await emptied
})
