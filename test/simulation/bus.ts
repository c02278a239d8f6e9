// The bus as a bad bell: it loses, repeats, reorders and is wiped, two members of a group may both
// believe that a partition is theirs, and who is not subscribed hears nothing. Only bytes travel on it.

import type { Bus, BusMessage, Subscription } from '../../src/bus/bus.ts'
import type { Wire } from './ports.ts'
import type { Life } from './world.ts'

type Handler = (messages: readonly BusMessage[]) => Promise<void>

interface Subscriber {
  readonly life: Life
  readonly group: string | undefined
  readonly handler: Handler
  readonly queues: Map<number, BusMessage[]>
  readonly busy: Set<number>
  open: boolean
}

/** What all processes share. */
export class BusFabric {
  readonly topics = new Map<string, Subscriber[]>()

  /** Raised by each wipe: what is on its way then does not arrive. */
  readonly wipes = new Map<string, number>()

  /** The topic is deleted and made again: nothing is in it. */
  wipe(topic: string): void {
    this.wipes.set(topic, (this.wipes.get(topic) ?? 0) + 1)
    for (const one of this.live(topic)) for (const queue of one.queues.values()) queue.splice(0)
  }

  live(topic: string): Subscriber[] {
    const all = this.topics.get(topic)?.filter((one) => one.open && one.life.isAlive) ?? []
    this.topics.set(topic, all)
    return all
  }
}

export class SimBus implements Bus {
  readonly #wire: Wire
  readonly #fabric: BusFabric

  constructor(wire: Wire, fabric: BusFabric) {
    this.#wire = wire
    this.#fabric = fabric
  }

  publish(topic: string, messages: readonly BusMessage[]): Promise<void> {
    return this.#wire.call(`publish ${topic}`, () => {
      for (const { partition, key, headers, value } of messages)
        this.#spread(topic, { partition, key, headers, value })
      return Promise.resolve()
    })
  }

  subscribe(
    topic: string,
    from: { readonly group: string } | { readonly tail: true },
    handler: Handler,
  ): Subscription {
    const subscriber: Subscriber = {
      life: this.#wire.life,
      group: 'group' in from ? from.group : undefined,
      handler,
      queues: new Map(),
      busy: new Set(),
      open: true,
    }
    this.#fabric.topics.set(topic, [...this.#fabric.live(topic), subscriber])
    return {
      close: () => {
        subscriber.open = false
        return Promise.resolve()
      },
    }
  }

  #spread(topic: string, message: BusMessage): void {
    const live = this.#fabric.live(topic)
    const groups = Map.groupBy(
      live.filter((one) => one.group !== undefined),
      (one) => one.group,
    )
    const { world } = this.#wire.life
    for (const members of groups.values()) {
      // Mostly one owner of a partition; sometimes another who believes so too.
      const owner = members[(message.partition + Math.floor(world.nowMs / 7_000)) % members.length]
      if (owner) this.#send(topic, owner, message)
      if (members.length > 1 && this.#wire.faults.shares())
        for (const other of members) if (other !== owner) this.#send(topic, other, message)
    }
    for (const tail of live) if (tail.group === undefined) this.#send(topic, tail, message)
  }

  #send(topic: string, to: Subscriber, message: BusMessage): void {
    const { world } = this.#wire.life
    const { wipes } = this.#fabric
    const age = wipes.get(topic)
    const { lost, copies, delayMs } = this.#wire.faults.bus()
    if (lost) return
    for (let copy = 0; copy < copies; copy++)
      world.after(delayMs + copy * world.between(0, 500), () => {
        if (wipes.get(topic) !== age) return undefined
        const queue = to.queues.get(message.partition) ?? []
        to.queues.set(message.partition, queue)
        queue.push(message)
        return this.#hand(to, message.partition, queue)
      })
  }

  async #hand(to: Subscriber, partition: number, queue: BusMessage[]): Promise<void> {
    if (to.busy.has(partition)) return
    to.busy.add(partition)
    const { world } = to.life
    while (queue.length > 0 && to.open && to.life.isAlive) {
      const batch = queue.splice(0, 1 + Math.floor(world.random.next() * 4))
      try {
        await to.handler(batch)
      } catch {
        queue.unshift(...batch)
        await to.life.clock.sleep(50)
      }
    }
    to.busy.delete(partition)
  }
}
