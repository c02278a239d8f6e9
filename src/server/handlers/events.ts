import type { EventView } from '../../api/events.ts'
import { VarveError } from '../../base/errors.ts'
import { DEFAULT_PROJECT } from '../../model/name.ts'
import type { VersionEntry } from '../../versions/versions.ts'
import type { Handlers, Push } from '../call.ts'
import type { Context } from '../context.ts'
import { requireProject } from '../find.ts'

type Events = Pick<Handlers, 'GET /events'>

/** Behind `:` of an event's id: the entry's seq, and which of its events. */
const EVENT_ID = /(?:^|:)(\d+)(?:\.(\d+))?$/

/**
 * Where to go on: the events after this one.
 * @throws VarveError INVALID_OPTION
 */
export function resumeAfter(id: string): { readonly seq: number; readonly index: number } {
  const match = EVENT_ID.exec(id)
  if (!match)
    throw new VarveError('INVALID_OPTION', `cannot resume after "${id}": it is not an event's id`)
  return { seq: Number(match[1]), index: match[2] === undefined ? Infinity : Number(match[2]) }
}

export function eventHandlers({ versions, tails, eventsOf }: Context): Events {
  return {
    'GET /events': async function* ({ query, headers, signal }): AsyncGenerator<Push<EventView>> {
      const project = query.project ?? DEFAULT_PROJECT
      await requireProject(versions, project)
      const given = headers['last-event-id'] ?? query.after
      if (given === undefined) {
        for await (const entry of tails.entries(project, signal)) yield* pushes(entry, -1)
        return
      }
      const { seq, index } = resumeAfter(given)
      // The entry itself again when only some of its events were seen.
      const from = index === Infinity ? seq : seq - 1
      for await (const entry of versions.follow(project, Math.max(0, from), signal))
        yield* pushes(entry, entry.seq === seq ? index : -1)

      function* pushes(entry: VersionEntry, after: number): Generator<Push<EventView>> {
        for (const event of eventsOf(project, entry)) {
          if (Number(EVENT_ID.exec(event.id)?.[2] ?? 0) > after)
            yield { id: event.id, event: event.type, data: event }
        }
      }
    },
  }
}
