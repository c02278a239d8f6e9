// One member of a consumer group (the classic protocol): joins, keeps its place, commits, leaves.
// It reads nothing and knows no handlers; who owns it decides what a lost place means.
//
// - Every answer the coordinator gives about the place is one of: fine, `rebalance` (join again, what
//   was handled may be committed first), `evicted` (the place is gone, others may have the partitions).
// - A committed position names the id of its topic, so a topic made anew is not read from the
//   position of the old one.

import { assignPartitions } from './assign.ts'
import type { Claim } from './assign.ts'
import type { Brokers, KafkaConnection } from './connect.ts'
import { CODE, KafkaError, Refused } from './error.ts'
import {
  findCoordinatorOf,
  heartbeatOf,
  joinGroupOf,
  leaveGroupOf,
  offsetCommitOf,
  offsetFetchOf,
  syncGroupOf,
} from './groups.ts'
import type { Joined, Place } from './groups.ts'
import type { Request } from './request.ts'
import { WireReader, WireWriter } from './wire.ts'

export interface GroupOptions {
  readonly group: string
  readonly topic: string
  /** The coordinator gives the partitions to others when it heard nothing for so long. */
  readonly sessionMs: number
  /** How long a rebalance waits for members to join again. */
  readonly rebalanceMs: number
}

export interface Committed {
  readonly topicId: string
  /** The next offset to handle. */
  readonly offset: number
}

/** The place in the group is not what we thought. */
export class PlaceLost extends Error {
  readonly kind: 'rebalance' | 'evicted'

  constructor(kind: 'rebalance' | 'evicted') {
    super(kind)
    this.name = 'PlaceLost'
    this.kind = kind
  }
}

const PROTOCOL = 'varve-keeping'

export class GroupMember {
  readonly #connection: KafkaConnection
  /** Its own: a join waits for the other members. */
  readonly #brokers: Brokers
  readonly #options: GroupOptions
  /** Address. */
  #coordinator: string | undefined
  #memberId = ''
  #generation = -1

  constructor(connection: KafkaConnection, options: GroupOptions) {
    this.#connection = connection
    this.#brokers = connection.brokers()
    this.#options = options
  }

  /**
   * Waits until all members have joined. @returns the partitions that are ours now
   * @param all partitions of the topic @param had those that were ours until now
   * @throws PlaceLost, KafkaError lost, denied
   */
  async join(all: readonly number[], had: readonly number[]): Promise<readonly number[]> {
    const { topic, rebalanceMs } = this.#options
    const joined = await this.#join(encodeClaim(topic, { generation: this.#generation, had }))
    this.#generation = joined.generation
    const claims = joined.members.map(({ memberId, metadata }) => ({
      memberId,
      ...decodeClaim(metadata),
    }))
    const assigned = joined.leads ? assignPartitions(all, claims) : new Map<string, number[]>()
    const assignment = new Map(
      [...assigned].map(([memberId, mine]) => [memberId, encodeAssignment(topic, mine)]),
    )
    const asked = syncGroupOf(this.#place(), PROTOCOL, assignment)
    return decodeAssignment(await this.#ask(asked, rebalanceMs))
  }

  async #join(metadata: Buffer): Promise<Joined> {
    const { group, sessionMs, rebalanceMs } = this.#options
    const given = { group, sessionMs, rebalanceMs, protocol: PROTOCOL, metadata }
    for (;;) {
      const asked = joinGroupOf({ ...given, memberId: this.#memberId })
      const joined = await this.#ask(asked, rebalanceMs)
      this.#memberId = joined.memberId
      if (!joined.again) return joined
    }
  }

  /** @throws PlaceLost, KafkaError lost, denied */
  async heartbeat(): Promise<void> {
    await this.#ask(heartbeatOf(this.#place()))
  }

  /** What the group committed of these partitions, where it did. @throws KafkaError lost, denied */
  async committed(partitions: readonly number[]): Promise<Map<number, Committed>> {
    if (partitions.length === 0) return new Map()
    const { group, topic } = this.#options
    const all = await this.#ask(offsetFetchOf(group, topic, partitions))
    return new Map(
      all
        .filter(({ offset }) => offset >= 0)
        .map(({ partition, offset, note }) => [partition, { topicId: note, offset }]),
    )
  }

  /** @throws PlaceLost, KafkaError lost, denied, missing */
  async commit(topicId: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    if (offsets.size === 0) return
    await this.#ask(offsetCommitOf(this.#place(), this.#options.topic, offsets, topicId))
  }

  /** Gives the place back, so that nobody waits for us. Never fails. */
  async leave(): Promise<void> {
    if (this.#memberId === '') return
    const place = this.#place()
    this.#forget()
    await this.#ask(leaveGroupOf(place)).catch(() => undefined)
  }

  /** What waits fails, a join above all; what is asked later goes over new connections. */
  abandon(): void {
    this.#brokers.reset()
  }

  /** What waits fails, and what is asked later too. */
  close(): void {
    this.#brokers.close()
  }

  #place(): Place {
    const { group } = this.#options
    return { group, generation: this.#generation, memberId: this.#memberId }
  }

  #forget(): void {
    this.#memberId = ''
    this.#generation = -1
  }

  /** @param waitMs how long the coordinator may wait for others before it answers */
  async #ask<T>(request: Request<T>, waitMs = 0): Promise<T> {
    const { group } = this.#options
    try {
      this.#coordinator ??= await this.#connection.ask(findCoordinatorOf(group))
      const limitMs = waitMs + this.#connection.requestTimeoutMs
      return await this.#brokers.ask(this.#coordinator, request, limitMs)
    } catch (error) {
      const code = error instanceof Refused ? error.code : undefined
      if (code === CODE.rebalanceInProgress) throw new PlaceLost('rebalance')
      if (code === CODE.unknownMember || code === CODE.illegalGeneration) {
        this.#forget()
        throw new PlaceLost('evicted')
      }
      this.#coordinator = undefined
      throw KafkaError.from(`cannot take part in group "${group}"`, error)
    }
  }
}

// Kafka's own forms of a subscription and an assignment (version 0), so that its tools can show the
// group; the claim stands where they leave room for a member's own words.

function encodeClaim(
  topic: string,
  claim: { readonly generation: number; readonly had: readonly number[] },
): Buffer {
  const own = Buffer.from(JSON.stringify([claim.generation, ...claim.had]))
  return new WireWriter().int16(0).int32(1).string(topic).int32(own.length).raw(own).bytes()
}

function decodeClaim(bytes: Buffer): Omit<Claim, 'memberId'> {
  const reader = new WireReader(bytes)
  reader.int16()
  for (let n = reader.int32(); n > 0; n--) reader.string()
  const own = reader.take(Math.max(0, reader.int32())).toString()
  const [generation = -1, ...partitions] = own === '' ? [] : (JSON.parse(own) as number[])
  return { generation, partitions }
}

function encodeAssignment(topic: string, partitions: readonly number[]): Buffer {
  const writer = new WireWriter().int16(0).int32(1).string(topic).int32(partitions.length)
  for (const partition of partitions) writer.int32(partition)
  return writer.int32(0).bytes()
}

function decodeAssignment(bytes: Buffer): number[] {
  if (bytes.length === 0) return []
  const reader = new WireReader(bytes)
  reader.int16()
  const partitions: number[] = []
  for (let topics = reader.int32(); topics > 0; topics--) {
    reader.string()
    for (let n = reader.int32(); n > 0; n--) partitions.push(reader.int32())
  }
  return partitions
}
