// As of which entry of a project's log this process knows what is condemned. Whoever writes opens a
// session before it looks at anything it will build on, and names it when it proposes to keep what it
// wrote; that a session was closed meanwhile is mended here as long as nothing was lost.
//
// The position is read before the list is loaded, so the list is at least as new as it says. Sessions
// are of a process, not of a writer: to open one costs nothing but now and then.

import type { Clock } from '../base/clock.ts'
import type { Session } from '../model/ops.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { Root } from '../objects/upkeep/mark.ts'
import type { Objects } from '../objects/objects.ts'

/** Older ones are opened anew: then a collection that waits longer refuses few. */
const REFRESH_MS = 60_000
/** Of each project, for what was written a while ago. */
const REMEMBERED = 16

interface Known {
  readonly session: Session
  /** Of the list, when it stood. */
  readonly loads: number
  readonly atMs: number
}

export interface SessionsOptions {
  readonly objects: Pick<Objects, 'loads' | 'loadCondemned' | 'born' | 'isHeld'>
  readonly clock: Clock
  watermark(project: string): Promise<number>
}

export class Sessions {
  readonly #o: SessionsOptions
  /** By project, the newest last. */
  readonly #known = new Map<string, Known[]>()

  constructor(options: SessionsOptions) {
    this.#o = options
  }

  /** For what is looked at and written from now on. @throws VarveError UNAVAILABLE */
  async open(project: string): Promise<Session> {
    const last = this.#known.get(project)?.at(-1)
    const isYoung = last && this.#o.clock.monotonicMs() - last.atMs < REFRESH_MS
    return isYoung ? last.session : await this.renew(project)
  }

  /** Of what was stored by this process, given what it builds on is in use; undefined: not known. */
  of(project: string, refs: readonly TreeRef[]): Session | undefined {
    let oldest = Infinity
    for (const ref of refs) {
      const born = this.#o.objects.born(ref)
      if (born === undefined) return undefined
      oldest = Math.min(oldest, born)
    }
    return this.#known.get(project)?.findLast(({ loads }) => loads <= oldest)?.session
  }

  /**
   * A session of now for what was written before, which is looked at whole for it; undefined: some of
   * it is condemned or gone, and it has to be written anew.
   */
  async adopt(project: string, roots: readonly Root[]): Promise<Session | undefined> {
    const session = await this.renew(project)
    return (await this.#o.objects.isHeld(roots)) ? session : undefined
  }

  /** Anew, however young the last. @throws VarveError UNAVAILABLE */
  async renew(project: string): Promise<Session> {
    const { objects, clock, watermark } = this.#o
    const session = await watermark(project)
    await objects.loadCondemned()
    const known = { session, loads: objects.loads, atMs: clock.monotonicMs() }
    const all = [...(this.#known.get(project) ?? []), known]
    this.#known.set(project, all.slice(-REMEMBERED))
    return session
  }
}
