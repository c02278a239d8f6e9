// One member of a consumer group (the classic protocol): joins, keeps its place, commits, leaves.
// It reads nothing and knows no handlers; who owns it decides what a lost place means.
//
// - Every answer the coordinator gives about the place is one of: fine, `rebalance` (join again, what
//   was handled may be committed first), `evicted` (the place is gone, others may have the partitions).
// - A committed position names the id of its topic, so a topic made anew is not read from the
//   position of the old one.

import { assignPartitions } from './assign.ts'
import type { Claim } from './assign.ts'
import type { KafkaConnection } from './connect.ts'
import { KafkaError } from './error.ts'
import type { GroupRequests } from './kafkajs.ts'
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
  readonly #options: GroupOptions
  #coordinator: GroupRequests | undefined
  #memberId = ''
  #generation = -1

  constructor(connection: KafkaConnection, options: GroupOptions) {
    this.#connection = connection
    this.#options = options
  }

  /**
   * Waits until all members have joined. @returns the partitions that are ours now
   * @param all partitions of the topic @param had those that were ours until now
   * @throws PlaceLost, KafkaError lost, denied
   */
  async join(all: readonly number[], had: readonly number[]): Promise<readonly number[]> {
    const { group, topic, sessionMs, rebalanceMs } = this.#options
    const claim = { generation: this.#generation, partitions: had }
    const joined = await this.#ask((coordinator) =>
      coordinator.joinGroup({
        groupId: group,
        sessionTimeout: sessionMs,
        rebalanceTimeout: rebalanceMs,
        memberId: this.#memberId,
        groupProtocols: [{ name: PROTOCOL, metadata: encodeClaim(topic, claim) }],
      }),
    )
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    const leads = joined.leaderId === joined.memberId
    const claims = joined.members.map(({ memberId, memberMetadata }) => ({
      memberId,
      ...decodeClaim(memberMetadata),
    }))
    const assignment = leads ? assignPartitions(all, claims) : new Map<string, number[]>()
    const { memberAssignment } = await this.#ask((coordinator) =>
      coordinator.syncGroup({
        groupId: group,
        generationId: this.#generation,
        memberId: this.#memberId,
        groupAssignment: [...assignment].map(([memberId, partitions]) => ({
          memberId,
          memberAssignment: encodeAssignment(topic, partitions),
        })),
      }),
    )
    return decodeAssignment(memberAssignment)
  }

  /** @throws PlaceLost, KafkaError lost, denied */
  async heartbeat(): Promise<void> {
    await this.#ask((coordinator) => coordinator.heartbeat(this.#place()))
  }

  /** What the group committed of these partitions, where it did. @throws KafkaError lost, denied */
  async committed(partitions: readonly number[]): Promise<Map<number, Committed>> {
    if (partitions.length === 0) return new Map()
    const { group, topic } = this.#options
    const { responses } = await this.#ask((coordinator) =>
      coordinator.offsetFetch({
        groupId: group,
        topics: [{ topic, partitions: partitions.map((partition) => ({ partition })) }],
      }),
    )
    const known = (responses[0]?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0)
    return new Map(
      known.map(({ partition, offset, metadata }) => [
        partition,
        { topicId: metadata ?? '', offset: Number(offset) },
      ]),
    )
  }

  /** @throws PlaceLost, KafkaError lost, denied, missing */
  async commit(topicId: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    if (offsets.size === 0) return
    const partitions = [...offsets].map(([partition, offset]) => ({
      partition,
      offset: String(offset),
      metadata: topicId,
    }))
    await this.#ask((coordinator) =>
      coordinator.offsetCommit({
        ...this.#place(),
        topics: [{ topic: this.#options.topic, partitions }],
      }),
    )
  }

  /** Gives the place back, so that nobody waits for us. Never fails. */
  async leave(): Promise<void> {
    if (this.#memberId === '') return
    const { groupId, memberId } = this.#place()
    this.#forget()
    await this.#ask((coordinator) => coordinator.leaveGroup({ groupId, memberId })).catch(
      () => undefined,
    )
  }

  #place(): { groupId: string; groupGenerationId: number; memberId: string } {
    return {
      groupId: this.#options.group,
      groupGenerationId: this.#generation,
      memberId: this.#memberId,
    }
  }

  #forget(): void {
    this.#memberId = ''
    this.#generation = -1
  }

  async #ask<T>(request: (coordinator: GroupRequests) => Promise<T>): Promise<T> {
    try {
      this.#coordinator ??= await this.#find()
      return await request(this.#coordinator)
    } catch (error) {
      const { type } = error as { type?: string }
      if (type === 'REBALANCE_IN_PROGRESS') throw new PlaceLost('rebalance')
      if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION') {
        this.#forget()
        throw new PlaceLost('evicted')
      }
      this.#coordinator = undefined
      throw KafkaError.from(`cannot take part in group "${this.#options.group}"`, error)
    }
  }

  async #find(): Promise<GroupRequests> {
    const cluster = await this.#connection.cluster()
    // The coordinator is found among the brokers that metadata named last.
    await cluster.refreshMetadata()
    return cluster.findGroupCoordinator({ groupId: this.#options.group })
  }
}

// Kafka's own forms of a subscription and an assignment (version 0), so that its tools can show the
// group; the claim stands where they leave room for a member's own words.

function encodeClaim(topic: string, claim: Omit<Claim, 'memberId'>): Buffer {
  const own = Buffer.from(JSON.stringify([claim.generation, ...claim.partitions]))
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
