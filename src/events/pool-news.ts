// Tells on the topic of public events when a pool of workers begins to be hindered, is hindered by
// something else, or goes on. No entry of a log says so, hence other promises than the rest:
// - what lies between two looks is not told, and what is missed does not come again: the API knows how
//   a pool is now;
// - whoever looks next knows nothing of what was told, so a pool still hindered is told of once more,
//   under another id;
// - while nobody reports pools nothing is told: silence is no news.

import type { Clock } from '../base/clock.ts'
import { VarveError } from '../base/errors.ts'
import type { Bus } from '../bus/bus.ts'
import { TOPICS } from '../bus/bus.ts'
import { isTrouble } from '../model/hindrance.ts'
import type { PoolStatus } from '../model/pool-status.ts'
import { typeName } from './catalogue.ts'
import { cloudEvent } from './cloud-event.ts'
import type { CloudEventOptions } from './cloud-event.ts'
import { say } from './diagnostics.ts'
import type { PoolData } from './nouns.ts'
import type { PublicEvent } from './public-events.ts'
import type { Own } from './publisher.ts'

export interface PoolNewsOptions extends CloudEventOptions {
  readonly pools: { all(): readonly PoolStatus[]; readonly reported: boolean }
  readonly bus: Pick<Bus, 'publish'>
  readonly clock: Clock
  readonly own: Own
}

const LOOK_EVERY_MS = 5_000

/** Hindered pools that were told of, as they were, by project and name. */
export type Told = ReadonlyMap<string, PoolStatus>

export interface News {
  readonly status: PoolStatus
  readonly data: Omit<PoolData, 'atMicros'>
}

/** What a look at all pools there are gives to tell; `told` is what is remembered once it was. */
export function poolNews(
  before: Told,
  all: readonly PoolStatus[],
): { readonly news: readonly News[]; readonly told: Told } {
  const told = new Map<string, PoolStatus>()
  const news: News[] = []
  const seen = new Set<string>()
  for (const status of all) {
    const key = `${status.project}/${status.pool}`
    seen.add(key)
    const old = before.get(key)
    const why = hindering(status)
    if (why) told.set(key, status)
    if (why?.reason !== (old && hindering(old)?.reason)) news.push({ status, data: dataOf(status) })
  }
  for (const [key, old] of before)
    if (!seen.has(key)) {
      const none = { running: 0, replicas: 0, wanted: 0 }
      news.push({ status: old, data: { ...dataOf(old), ...none, state: 'gone', why: null } })
    }
  return { news, told }
}

/** Until the signal, while this process owns it. @throws what contradicts itself */
export async function tellPoolNews(options: PoolNewsOptions, signal: AbortSignal): Promise<void> {
  const { pools, bus, clock, own } = options
  await own('events/pools', signal, async (owned) => {
    let before: Told = new Map()
    while (!owned.aborted) {
      if (pools.reported)
        try {
          const { news, told } = poolNews(before, pools.all())
          const atMs = clock.nowMs()
          const messages = news.map((one) =>
            cloudEvent(one.status.project, eventOf(one, atMs), options),
          )
          if (messages.length > 0) await bus.publish(TOPICS.events, messages)
          before = told
        } catch (error) {
          // The bus is away: at the next look the same is news still.
          if (!(error instanceof VarveError)) throw error
          say('waiting', { project: '', cause: error.message })
        }
      await clock.sleep(LOOK_EVERY_MS, owned)
    }
  })
}

export function eventOf({ status: { project, pool }, data }: News, atMs: number): PublicEvent {
  const key = `${project}/${pool}`
  return {
    id: `${project}:pools/${pool}:${atMs}`,
    type: typeName('pool.state'),
    subject: key,
    key,
    atMs,
    data: { ...data, atMicros: atMs * 1000 },
  }
}

/** A start is no hindrance, nor is what would be in the way of work that is not there. */
function hindering({ cause, wanted }: PoolStatus): PoolData['why'] {
  return wanted > 0 && isTrouble(cause) ? cause : null
}

function dataOf(status: PoolStatus): News['data'] {
  const { project, pool, pipelines, state, running, replicas, wanted } = status
  return { project, pool, pipelines, state, running, replicas, wanted, why: hindering(status) }
}
