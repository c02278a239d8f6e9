// A container's log as it is written, each line once, also over lost connections.
// The server resumes by whole seconds, so lines of the second that was reached come again: those at or
// before the last one seen are dropped, and of those with the very same time as many as were given.
// A silent connection cannot be told from a silent container: after `silenceMs` it is opened anew.

import type { Clock } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import { backoffMs } from '../../../base/retry.ts'
import type { KubernetesClient } from './client.ts'
import type { Pod } from './objects.ts'
import { isRefusal } from './refusal.ts'

export interface LogOf {
  readonly namespace: string
  readonly pod: string
  readonly container: string
}

export interface PodLogLine {
  /** RFC 3339 with nanoseconds, as the node wrote it. */
  readonly time: string
  readonly text: string
}

export interface PodLogBounds {
  readonly silenceMs: number
  readonly backoff: { readonly firstMs: number; readonly maxMs: number }
}

const BOUNDS: PodLogBounds = { silenceMs: 60_000, backoff: { firstMs: 200, maxMs: 10_000 } }

/**
 * Ends when the container has ended and its last line was given, or with the signal; a pod that is
 * gone ends it too. Lost connections are tried again for ever: bound it by the signal.
 * @throws KubernetesError denied, refused
 */
export async function* podLog(
  client: KubernetesClient,
  of: LogOf,
  guests: { readonly clock: Clock; readonly random: Random },
  signal: AbortSignal,
  bounds: PodLogBounds = BOUNDS,
): AsyncGenerator<PodLogLine> {
  const place = new Place()
  for (let failures = 0; !signal.aborted;) {
    try {
      // Asked before reading: only a container that had ended by then has no lines after the end.
      const ended = hasEnded(await client.get('pods', of.namespace, of.pod), of.container)
      for await (const line of readOnce(client, of, place, !ended, guests.clock, signal, bounds)) {
        failures = 0
        yield line
      }
      if (ended) return
    } catch (error) {
      if (signal.aborted) return
      if (isRefusal(error, 'gone')) return
      if (isRefusal(error, 'denied')) throw error
      // "refused" is also how the server says that the container has not started yet.
      if (isRefusal(error, 'refused') && /is not valid for pod/.test(error.message)) throw error
    }
    await guests.clock.sleep(backoffMs(bounds.backoff, failures++, guests.random), signal)
  }
}

async function* readOnce(
  client: KubernetesClient,
  of: LogOf,
  place: Place,
  follow: boolean,
  clock: Clock,
  signal: AbortSignal,
  bounds: PodLogBounds,
): AsyncGenerator<PodLogLine> {
  const ended = new AbortController()
  const silent = new AbortController()
  let heardMs = clock.monotonicMs()
  const guard = async (): Promise<void> => {
    for (;;) {
      const leftMs = heardMs + bounds.silenceMs - clock.monotonicMs()
      if (leftMs <= 0) return silent.abort(new Error('silent'))
      await clock.sleep(leftMs, ended.signal)
      if (ended.signal.aborted) return
    }
  }
  const watchdog = guard()
  place.restart()
  try {
    const question = {
      ...of,
      follow,
      ...(place.since === undefined ? {} : { sinceTime: place.since }),
    }
    const lines = client.logLines(question, AbortSignal.any([signal, silent.signal]))
    for await (const raw of lines) {
      heardMs = clock.monotonicMs()
      const line = parse(raw)
      if (line === undefined || !place.take(line)) continue
      yield line
      // The reader may have been slow: that is no silence of the server.
      heardMs = clock.monotonicMs()
    }
  } catch (error) {
    // Silence is no failure: the next one continues.
    if (!silent.signal.aborted || signal.aborted) throw error
  } finally {
    ended.abort()
    await watchdog
  }
}

/** Where a reader is in a log, and what of a repeated answer it has had. */
class Place {
  #time = ''
  /** Lines given at exactly that time. */
  #given = 0
  /** Of those, how many came again in this answer. */
  #again = 0

  /** The whole second to resume from. */
  get since(): string | undefined {
    return this.#time === '' ? undefined : this.#time.replace(/\.\d+/, '')
  }

  restart(): void {
    this.#again = 0
  }

  /** True for a line that was not given yet. */
  take(line: PodLogLine): boolean {
    const time = line.time
    const order = compare(time, this.#time)
    if (order < 0) return false
    if (order > 0) {
      this.#time = time
      this.#given = this.#again = 1
      return true
    }
    if (++this.#again <= this.#given) return false
    this.#given = this.#again
    return true
  }
}

/** Nodes write nanoseconds without the zeros at their end, so texts of one time may differ in length. */
function compare(a: string, b: string): number {
  const [x, y] = [sortable(a), sortable(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

function sortable(time: string): string {
  const match = /^([^.Z+]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?$/.exec(time)
  return match === null ? time : `${match[1]}.${(match[2] ?? '').padEnd(9, '0')}`
}

function parse(raw: string): PodLogLine | undefined {
  const space = raw.indexOf(' ')
  const time = space < 0 ? raw : raw.slice(0, space)
  if (!/^\d{4}-\d\d-\d\dT/.test(time)) return undefined
  return { time, text: space < 0 ? '' : raw.slice(space + 1) }
}

function hasEnded(pod: Pod, container: string): boolean {
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return true
  const all = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
  ]
  return all.find((one) => one.name === container)?.state?.terminated !== undefined
}
