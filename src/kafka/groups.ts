// The requests of one member of a consumer group to its coordinator (the classic protocol).

import { CODE, accepted } from './error.ts'
import { request } from './request.ts'
import type { Request } from './request.ts'
import { WireWriter } from './wire.ts'

/** Who asks. */
export interface Place {
  readonly group: string
  readonly generation: number
  readonly memberId: string
}

/** Tools of Kafka show groups of this type. */
const CONSUMER = 'consumer'
const GROUP = 0

const what = (group: string): string => `cannot take part in group "${group}"`

/** @returns the address of the broker that looks after the group */
export function findCoordinatorOf(group: string): Request<string> {
  const writer = new WireWriter().int8(GROUP)
  writer.compactArray([group], (key) => writer.compactString(key)).noTags()
  return request('FindCoordinator', writer, (reader) => {
    const [address = ''] = reader.compactArray(() => {
      reader.compactString()
      reader.int32()
      const found = `${reader.compactString()}:${reader.int32()}`
      accepted(what(group), reader.int16(), reader.compactString())
      reader.tags()
      return found
    })
    return address
  })
}

export interface Joined {
  /** Not yet: we are to ask again with the id given. */
  readonly again: boolean
  readonly generation: number
  readonly memberId: string
  readonly leads: boolean
  /** Only told to the one who leads. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[]
}

export function joinGroupOf(asked: {
  readonly group: string
  readonly memberId: string
  readonly sessionMs: number
  readonly rebalanceMs: number
  readonly protocol: string
  readonly metadata: Buffer
}): Request<Joined> {
  const writer = new WireWriter()
    .compactString(asked.group)
    .int32(asked.sessionMs)
    .int32(asked.rebalanceMs)
    .compactString(asked.memberId)
    .compactString(null)
    .compactString(CONSUMER)
  writer
    .compactArray([asked.protocol], (name) =>
      writer.compactString(name).compactBytes(asked.metadata).noTags(),
    )
    .noTags()
  return request('JoinGroup', writer, (reader) => {
    const code = reader.int16()
    if (code !== CODE.memberIdRequired) accepted(what(asked.group), code)
    const generation = reader.int32()
    reader.compactString()
    reader.compactString()
    const leader = reader.compactString()
    const memberId = reader.compactString() ?? ''
    const members = reader.compactArray(() => {
      const id = reader.compactString() ?? ''
      reader.compactString()
      const metadata = reader.compactBytes() ?? Buffer.alloc(0)
      reader.tags()
      return { memberId: id, metadata }
    })
    return { again: code !== CODE.none, generation, memberId, leads: leader === memberId, members }
  })
}

/** @param assignment of every member, by the one who leads @returns our own */
export function syncGroupOf(
  place: Place,
  protocol: string,
  assignment: ReadonlyMap<string, Buffer>,
): Request<Buffer> {
  const writer = new WireWriter()
    .compactString(place.group)
    .int32(place.generation)
    .compactString(place.memberId)
    .compactString(null)
    .compactString(CONSUMER)
    .compactString(protocol)
  writer
    .compactArray([...assignment], ([memberId, bytes]) =>
      writer.compactString(memberId).compactBytes(bytes).noTags(),
    )
    .noTags()
  return request('SyncGroup', writer, (reader) => {
    accepted(what(place.group), reader.int16())
    reader.compactString()
    reader.compactString()
    return reader.compactBytes() ?? Buffer.alloc(0)
  })
}

export function heartbeatOf(place: Place): Request<void> {
  const writer = new WireWriter()
    .compactString(place.group)
    .int32(place.generation)
    .compactString(place.memberId)
    .compactString(null)
    .noTags()
  return request('Heartbeat', writer, (reader) => accepted(what(place.group), reader.int16()))
}

export function leaveGroupOf({ group, memberId }: Place): Request<void> {
  const writer = new WireWriter().compactString(group)
  writer
    .compactArray([memberId], (id) => writer.compactString(id).compactString(null).noTags())
    .noTags()
  return request('LeaveGroup', writer, (reader) => accepted(what(group), reader.int16()))
}

/** @param offsets the next to handle, by partition @param note kept with each of them */
export function offsetCommitOf(
  place: Place,
  topic: string,
  offsets: ReadonlyMap<number, number>,
  note: string,
): Request<void> {
  const writer = new WireWriter()
    .compactString(place.group)
    .int32(place.generation)
    .compactString(place.memberId)
    .compactString(null)
  writer.compactArray([topic], (name) => {
    writer.compactString(name)
    writer
      .compactArray([...offsets], ([partition, offset]) =>
        writer.int32(partition).int64(offset).int32(-1).compactString(note).noTags(),
      )
      .noTags()
  })
  writer.noTags()
  return request('OffsetCommit', writer, (reader) => {
    reader.compactArray(() => {
      reader.compactString()
      reader.compactArray(() => {
        reader.int32()
        accepted(what(place.group), reader.int16())
        reader.tags()
      })
      reader.tags()
    })
  })
}

export interface CommittedOffset {
  readonly partition: number
  /** -1: none. */
  readonly offset: number
  readonly note: string
}

export function offsetFetchOf(
  group: string,
  topic: string,
  partitions: readonly number[],
): Request<CommittedOffset[]> {
  const writer = new WireWriter()
  writer.compactArray([group], (id) => {
    writer.compactString(id)
    writer.compactArray([topic], (name) => {
      writer.compactString(name)
      writer.compactArray(partitions, (partition) => writer.int32(partition)).noTags()
    })
    writer.noTags()
  })
  // What open transactions would commit is waited for.
  writer.int8(1).noTags()
  return request('OffsetFetch', writer, (reader) => {
    const groups = reader.compactArray(() => {
      reader.compactString()
      const topics = reader.compactArray(() => {
        reader.compactString()
        const offsets = reader.compactArray(() => {
          const partition = reader.int32()
          const offset = reader.int64()
          reader.int32()
          const note = reader.compactString() ?? ''
          accepted(what(group), reader.int16())
          reader.tags()
          return { partition, offset, note }
        })
        reader.tags()
        return offsets
      })
      accepted(what(group), reader.int16())
      reader.tags()
      return topics.flat()
    })
    return groups.flat()
  })
}
