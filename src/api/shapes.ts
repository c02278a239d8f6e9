// Schemas that several nouns share.

import { Type } from 'typebox'
import type { Static, TSchema } from 'typebox'
import type { KeepRule } from '../model/keep.ts'

export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** An array that may be read only: model values fit without copying. */
export const listOf = <T extends TSchema>(schema: T) =>
  Type.Unsafe<readonly Static<T>[]>(Type.Array(schema))

export const mapOf = <T extends TSchema>(schema: T) =>
  Type.Unsafe<Readonly<Record<string, Static<T>>>>(
    Type.Object({}, { additionalProperties: schema }),
  )

/** One of some words. */
export const oneOf = <const T extends readonly string[]>(words: T, description?: string) =>
  Type.Unsafe<T[number]>(
    Type.String({ enum: [...words], ...(description === undefined ? {} : { description }) }),
  )

export const Json = mapOf(Type.Unknown())

/** A page of a list: `next` is the cursor of the following page, null on the last one. */
export const pageOf = <T extends TSchema>(schema: T) =>
  Type.Object({ items: listOf(schema), next: nullable(Type.String()) })

export const PageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: 'At most so many; default 100' }),
  ),
  after: Type.Optional(Type.String({ description: 'The `next` of the page before' })),
}

export const WaitQuery = Type.Object({
  timeoutMs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 60_000,
      description: 'Answer as it then is after so long; default 30,000',
    }),
  ),
})

export const AtMs = Type.Number({ description: 'Milliseconds since 1970-01-01T00:00:00Z' })
export const CommitId = Type.String({ description: '32 hex digits' })

export const BranchRef = Type.Object({ repo: Type.String(), branch: Type.String() })
export const CommitRef = Type.Object({
  repo: Type.String(),
  branch: Type.String(),
  id: CommitId,
})

export const KeepView = Type.Unsafe<KeepRule>({
  anyOf: [
    { const: 'all' },
    Type.Object(
      {
        last: nullable(Type.Integer({ minimum: 1, description: 'So many, the newest' })),
        youngerThanMs: nullable(
          Type.Integer({ minimum: 1, description: 'And all that ended less than this ago' }),
        ),
      },
      { description: 'At least one of the two' },
    ),
  ],
})

export const CauseView = Type.Object({
  code: Type.String(),
  text: Type.String(),
  commit: nullable(CommitRef),
})

/** Why something does not run, and what to try next. */
export const HindranceView = Type.Object({
  reason: Type.String({
    description: 'For programs: `Unschedulable`, `ImageMissing`; more may come',
  }),
  cause: Type.String({ description: 'What is in the way' }),
  remedy: Type.String({ description: 'What to try next' }),
})

/** problem+json, RFC 9457. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String({ description: 'A code of the error table' }),
  remedy: Type.String({ description: 'What to do next' }),
  details: Type.Optional(Json),
})
export type Problem = Static<typeof Problem>
