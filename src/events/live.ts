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
  // A place that was never given (0, or beyond the end) is the nearest one there is.
  const now = await versions.watermark(project)
  const after = last ? Math.max(0, Math.min(last.seq - 1, now)) : now
  for await (const entry of versions.follow(project, after, signal)) {
    for (const event of publicEvents(project, entry)) {
      const place = parseEventId(project, event.id)
      if (last && place?.seq === last.seq && place.n <= last.n) continue
      yield event
    }
  }
}
