// GLOSSARY, the only one. Every room, page, message and document uses these words this way.
//
//   project      a namespace with one log: the unit of order
//   repo         a versioned tree of files; branch: a named line of commits in it
//   commit       one immutable version of a branch, (repo, branch, set id)
//   commit set   all commits with one id: what one proposal caused, across repos
//   tip          a branch's newest commit that is AUTO or has ended; head: its newest good one
//   provenance   the commits a commit was made from; subvenance: what was made from it
//   AUTO commit  opened by the log because a tip above it moved; a job fills it
//   pipeline     user code run over inputs; job: one run of it for one commit
//   datum        the smallest piece of work of a job; its id names it, its key decides reuse
//   chunk        of data: a content-defined piece of a file; of work: some datums one worker claims
//   pack         an immutable object holding chunks and tree nodes
//   run          staged writes: a tree with tombstones, merged onto a base
//   spout        brings a feed into commits; egress: takes commits out to a sink
//   proposal     what somebody wants, with an id; decision: yes with facts, or no with a code
//   entry        a recorded decision at a seq; block: the entries one append wrote
//   fold         state made from entries; projection: a fold kept in tables; view: one build of them
//   watermark    the seq through which the projections stand
//   follower     reads entries in order with its own cursor
//   epoch        raised when a person sets a machine's position back
//   lease        a claim with a fencing token; it saves work and never decides

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { VarveError } from '../base/errors.ts'
import { toHex } from '../base/bytes.ts'

/** A UUIDv7 as 32 lower-case hex digits: of a proposal, and so of the commit set it creates. */
export type Id = string & { readonly __brand: 'Id' }

const ID = /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/

/** @throws VarveError INVALID_OPTION on anything but a UUIDv7, with or without dashes. */
export function parseId(text: string): Id {
  const hex = text.toLowerCase().replaceAll('-', '')
  if (!ID.test(hex))
    throw new VarveError('INVALID_OPTION', `cannot use "${text}" as an id: it is not a UUIDv7`)
  return hex as Id
}

export function isId(text: string): text is Id {
  return ID.test(text)
}

/** Draws ids that rise within this source, also within one millisecond (RFC 9562, method 1). */
export function idSource(clock: Clock, random: Random): () => Id {
  let lastMs = 0
  let counter = 0
  return () => {
    const now = clock.nowMs()
    if (now > lastMs) {
      lastMs = now
      counter = 0
    } else if (++counter > 0xfff) {
      lastMs++
      counter = 0
    }
    const tail = random.bytes(8)
    tail[0] = 0x80 | ((tail[0] as number) & 0x3f)
    const time = Math.floor(lastMs).toString(16).padStart(12, '0')
    return `${time}7${counter.toString(16).padStart(3, '0')}${toHex(tail)}` as Id
  }
}

/** The millisecond an id was made, by its author's clock. */
export function idTimeMs(id: Id): number {
  return Number.parseInt(id.slice(0, 12), 16)
}

/**
 * The eight characters people see. They are the last ones: the first eight of a UUIDv7 are the
 * hour, alike for everything made in the same minute.
 */
export function shortId(id: string): string {
  return id.slice(-8)
}
