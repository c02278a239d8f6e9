import type { Versions } from '../versions/versions.ts'
import { parseEventId, publicEvents } from './public-events.ts'
import type { PublicEvent } from './public-events.ts'

/**
 * Public events of a project as they become readable, until the signal. Resumes after `lastEventId`;
 * without one, or with one of another project or generation, it begins with what comes now.
 */
export async function* liveEvents(
  versions: Versions,
  project: string,
  signal: AbortSignal,
  lastEventId?: string,
): AsyncGenerator<PublicEvent> {
  const last = lastEventId === undefined ? undefined : parseEventId(project, lastEventId)
  const after = last ? last.seq - 1 : await versions.watermark(project)
  for await (const entry of versions.follow(project, after, signal)) {
    for (const event of publicEvents(project, entry)) {
      const place = parseEventId(project, event.id)
      if (last && place?.seq === last.seq && place.n <= last.n) continue
      yield event
    }
  }
}
