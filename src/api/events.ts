import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defineRoute } from './route.ts'
import { AtMs, Json } from './shapes.ts'

/** A public event: a pure function of an entry of the log. */
export const EventView = Type.Object({
  id: Type.String({ description: '`<project>:<generation>:<seq>.<n>`; resume with it' }),
  type: Type.String({ description: '`dev.varve.commit.finished.v1` and so on' }),
  subject: Type.String(),
  atMs: AtMs,
  data: Json,
})
export type EventView = Static<typeof EventView>

export const streamEvents = defineRoute({
  method: 'GET',
  path: '/events',
  permission: 'project:read',
  summary: 'Public events as they happen; resume with Last-Event-ID, `after` starts there too',
  query: Type.Object({
    project: Type.Optional(Type.String({ description: 'Default: default' })),
    after: Type.Optional(
      Type.String({ description: 'An event id, or `0` for all from the beginning; default: now' }),
    ),
  }),
  answer: { events: EventView },
})
