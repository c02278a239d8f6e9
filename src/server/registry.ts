// The schemas of the public events, as a schema registry that can only be read: the part of
// Confluent's API that kcat, Confluent's clients, Kafka UIs and Connect ask for, so that they decode
// our topic with nothing else deployed.
//
// Subjects. Several types share one topic, so the strategy is TopicRecordName: each type has a history
// of its own on this topic, and those subjects are listed. Most readers decode by the id in the bytes
// and never ask for a subject. Those that do have a strategy of their own, by default TopicName (one
// subject for all of a topic), so two more names are answered and not listed: `<topic>-value`, whose
// versions are the ids of all schemas, and the record's name alone (RecordName).

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { stringify } from 'yaml'
import type { Permission } from '../api/route.ts'
import { asyncapi } from '../events/asyncapi.ts'
import { canonicalForm } from '../events/canonical.ts'
import { eventTypes } from '../events/catalogue.ts'
import type { AvroRecord } from '../events/shape.ts'
import { admit } from './guard.ts'

/** The schemas are part of the product, the same everywhere: they tell nothing about anybody's data. */
const PERMISSION: Permission = 'public'

const PREFIX = '/registry'
const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'
const MAX_BODY_BYTES = 1 << 20
const COMPATIBILITY = 'FULL_TRANSITIVE'

export interface RegistryOptions {
  /** The topic of the public events, with its prefix. */
  readonly topic: string
  /** The product's, for /asyncapi.yaml. */
  readonly version: string
}

interface Version {
  readonly id: number
  readonly version: number
  readonly schema: AvroRecord
}

/** An answer that is no 200. Codes are Confluent's: the HTTP status, or it with two digits behind. */
class RegistryError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** Answers below /registry, and /asyncapi.yaml beside it. */
export function registryRoutes({ topic, version }: RegistryOptions) {
  // Both when first asked for: the start of a server does not wait for them.
  let known: Subjects | undefined
  let document: string | undefined
  const subjects = (): Subjects => (known ??= new Subjects(topic))
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/asyncapi.yaml', (request, reply) => {
      admit(request, PERMISSION, '')
      document ??= stringify(asyncapi(version), { aliasDuplicateObjects: false })
      void reply.type('application/yaml; charset=utf-8').send(document)
    })
    await app.register(async (registry) => declare(registry, subjects), { prefix: PREFIX })
  }
}

type Params = Readonly<Record<'id' | 'subject' | 'version', string>>

/** Every question and its answer. */
function declare(app: FastifyInstance, subjects: () => Subjects): void {
  const on = (
    method: 'GET' | 'POST',
    url: string,
    answer: (params: Params, request: FastifyRequest) => unknown,
  ): void => {
    app.route({
      method,
      url,
      handler: async (request, reply) => {
        admit(request, PERMISSION, '')
        const value = await answer(request.params as Params, request)
        return reply.type(CONTENT_TYPE).send(bytes(value))
      },
    })
  }
  on('GET', '/', () => ({}))
  on('GET', '/schemas/types', () => ['AVRO'])
  on('GET', '/schemas/ids/:id', ({ id }) => ({ schema: text(byId(id)) }))
  on('GET', '/schemas/ids/:id/schema', ({ id }) => byId(id).schema)
  on('GET', '/schemas/ids/:id/subjects', ({ id }) =>
    subjects()
      .of(byId(id))
      .map(({ subject }) => subject),
  )
  on('GET', '/schemas/ids/:id/versions', ({ id }) => subjects().of(byId(id)))
  on('GET', '/subjects', () => subjects().names)
  on('GET', '/subjects/:subject/versions', ({ subject }) =>
    subjects()
      .versions(subject)
      .map((one) => one.version),
  )
  on('GET', '/subjects/:subject/versions/:version', ({ subject, version }) =>
    describe(subject, subjects().version(subject, version)),
  )
  on('GET', '/subjects/:subject/versions/:version/schema', ({ subject, version }) => {
    return subjects().version(subject, version).schema
  })
  // Asks which version a schema is; a POST, and reads all the same.
  on('POST', '/subjects/:subject', async ({ subject }, request) => {
    const versions = subjects().versions(subject)
    const asked = canonical(await bodyOf(request))
    const found = versions.find(({ schema }) => canonicalForm(schema) === asked)
    if (!found) throw new RegistryError(40403, 'Schema not found')
    return describe(subject, found)
  })
  on('GET', '/config', () => ({ compatibilityLevel: COMPATIBILITY }))
  on('GET', '/config/:subject', ({ subject }) => {
    subjects().versions(subject)
    return { compatibilityLevel: COMPATIBILITY }
  })
  on('GET', '/mode', () => ({ mode: 'READONLY' }))
  on('GET', '/mode/:subject', ({ subject }) => {
    subjects().versions(subject)
    return { mode: 'READONLY' }
  })
  const refuse = (): never => {
    throw new RegistryError(
      405,
      'Method Not Allowed: these schemas come with the product and can only be read',
    )
  }
  for (const url of ['/', '/*'])
    app.route({ method: ['POST', 'PUT', 'DELETE', 'PATCH'], url, handler: refuse })
  app.setNotFoundHandler((_request, reply) => sendError(reply, 404, 'HTTP 404 Not Found'))
  app.setErrorHandler((error, request, reply) => {
    request.raw.resume()
    const known = error instanceof RegistryError
    sendError(reply, known ? error.code : 500, known ? error.message : 'Internal Server Error')
  })
}

class Subjects {
  /** Those that are listed. */
  readonly names: readonly string[]
  readonly #versions = new Map<string, readonly Version[]>()

  constructor(topic: string) {
    const all = eventTypes().flatMap(({ versions }) => versions)
    for (const { fullName, versions } of eventTypes())
      this.#versions.set(`${topic}-${fullName}`, versions)
    this.names = [...this.#versions.keys()]
    for (const { fullName, versions } of eventTypes()) this.#versions.set(fullName, versions)
    this.#versions.set(
      `${topic}-value`,
      all.map(({ id, schema }) => ({ id, version: id, schema })).toSorted((a, b) => a.id - b.id),
    )
  }

  versions(subject: string): readonly Version[] {
    const versions = this.#versions.get(subject)
    if (!versions) throw new RegistryError(40401, `Subject '${subject}' not found.`)
    return versions
  }

  /** `latest`, -1 or a number. */
  version(subject: string, version: string): Version {
    const versions = this.versions(subject)
    const isNewest = version === 'latest' || version === '-1'
    if (!isNewest && !/^[1-9][0-9]{0,8}$/.test(version))
      throw new RegistryError(
        42202,
        `The specified version '${version}' is not a valid version id.`,
      )
    const found = isNewest
      ? versions.at(-1)
      : versions.find((one) => one.version === Number(version))
    if (!found) throw new RegistryError(40402, `Version ${version} not found.`)
    return found
  }

  /** Where a schema is listed. */
  of({ id }: Version): { subject: string; version: number }[] {
    return this.names.flatMap((subject) =>
      this.versions(subject)
        .filter((one) => one.id === id)
        .map(({ version }) => ({ subject, version })),
    )
  }
}

function byId(text: string): Version {
  const versions = eventTypes().flatMap((one) => one.versions)
  const found = versions.find(({ id }) => String(id) === text)
  if (!found) throw new RegistryError(40403, `Schema ${text} not found`)
  return found
}

/** Without a schemaType: a registry leaves it out for Avro, and old readers stumble over it. */
function describe(subject: string, one: Version): Readonly<Record<string, unknown>> {
  return { subject, id: one.id, version: one.version, schema: text(one) }
}

function text({ schema }: Version): string {
  return JSON.stringify(schema)
}

/** The `schema` of the body, in canonical form. */
function canonical(body: string): string {
  try {
    const { schema } = JSON.parse(body) as { readonly schema: string }
    return canonicalForm(JSON.parse(schema))
  } catch {
    throw new RegistryError(42201, 'Invalid schema')
  }
}

async function bodyOf(request: FastifyRequest): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request.raw as AsyncIterable<Buffer>) {
    size += part.length
    if (size > MAX_BODY_BYTES) throw new RegistryError(413, 'Request Entity Too Large')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function sendError(reply: FastifyReply, code: number, message: string): void {
  const status = code > 999 ? Math.floor(code / 100) : code
  void reply
    .code(status)
    .type(CONTENT_TYPE)
    .send(bytes({ error_code: code, message }))
}

/** As bytes: to a text the server would add a charset, which this type has none of. */
function bytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
