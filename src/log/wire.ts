// What travels on the bus between proposers, lanes and followers. A bus inside one process hands the
// very messages on: then nobody prints or parses, and everybody shares the values, which never change.

import { fromUtf8, utf8 } from '../base/bytes.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { BusMessage } from '../bus/bus.ts'
import { isId } from '../model/id.ts'
import type { Id } from '../model/id.ts'
import { isName } from '../model/name.ts'
import type { Entry, Proposal } from './machine.ts'

/** Partitions of the topics of the log, fixed for ever: a project's shard is its partition. */
export const SHARDS = 64

/** FNV-1a over the name. */
export function shardOf(project: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < project.length; i++) h = Math.imul(h ^ project.charCodeAt(i), 0x01000193)
  return (h >>> 0) % SHARDS
}

export type Sent<Op> =
  | { readonly kind: 'propose'; readonly proposal: Proposal<Op> }
  /** Decide EXPIRED for this id unless it has a decision. */
  | { readonly kind: 'give-up'; readonly proposal: Proposal<Op> }
  /** Entries wait to be projected. */
  | { readonly kind: 'ring'; readonly project: string }

/** A refusal that is not recorded. It answers only those sends of the request that it names. */
export interface Notice {
  readonly id: Id
  readonly fingerprint: string
  readonly issuedAtMs: readonly number[]
  readonly code: ErrorCode
  readonly message: string
}

export type Told<Fact> =
  /** A dense run of entries at or below the watermark. */
  | { readonly kind: 'entries'; readonly project: string; readonly entries: readonly Entry<Fact>[] }
  | { readonly kind: 'notices'; readonly project: string; readonly notices: readonly Notice[] }
  /** A run with entries too big for the bus: read the log. */
  | { readonly kind: 'look'; readonly project: string }

/** Printed when somebody asks for the bytes. */
class Message implements BusMessage {
  readonly partition: number
  readonly key: string
  readonly headers: { readonly kind: string }
  readonly body: unknown
  readonly #print: () => Uint8Array
  #value: Uint8Array | undefined

  constructor(project: string, kind: string, body: unknown, print?: () => Uint8Array) {
    this.partition = shardOf(project)
    this.key = project
    this.headers = { kind }
    this.body = body
    this.#print = print ?? (() => utf8(JSON.stringify(body)))
  }

  get value(): Uint8Array {
    return (this.#value ??= this.#print())
  }
}

function bodyOf(from: BusMessage): unknown {
  return from instanceof Message ? from.body : JSON.parse(fromUtf8(from.value))
}

export function encodeSent<Op>(sent: Sent<Op>): BusMessage {
  if (sent.kind === 'ring') return new Message(sent.project, 'ring', sent.project)
  return new Message(sent.proposal.project, sent.kind, sent.proposal)
}

/** Undefined when it makes no sense. */
export function decodeSent<Op>(from: BusMessage): Sent<Op> | undefined {
  let value: unknown
  try {
    value = bodyOf(from)
  } catch {
    return undefined
  }
  const kind = from.headers['kind']
  if (kind === 'ring' && typeof value === 'string' && isName(value)) return { kind, project: value }
  if ((kind === 'propose' || kind === 'give-up') && isProposal<Op>(value))
    return { kind, proposal: value }
  return undefined
}

/** `print`: gives the run as a JSON array, for a caller who has its parts at hand. */
export function encodeEntries<Fact>(
  project: string,
  entries: readonly Entry<Fact>[],
  print?: () => Uint8Array,
): BusMessage {
  return new Message(project, 'entries', entries, print)
}

export function encodeNotices(project: string, notices: readonly Notice[]): BusMessage {
  return new Message(project, 'notices', notices)
}

export function encodeLook(project: string): BusMessage {
  return new Message(project, 'look', null)
}

/** Undefined when it makes no sense. */
export function decodeTold<Fact>(from: BusMessage): Told<Fact> | undefined {
  const project = from.key
  const kind = from.headers['kind']
  if (kind === 'look') return { kind, project }
  let value: unknown
  try {
    value = bodyOf(from)
  } catch {
    return undefined
  }
  if (!Array.isArray(value)) return undefined
  if (kind === 'entries') return { kind, project, entries: value as Entry<Fact>[] }
  if (kind === 'notices') return { kind, project, notices: value as Notice[] }
  return undefined
}

function isProposal<Op>(value: unknown): value is Proposal<Op> {
  if (typeof value !== 'object' || value === null) return false
  const p = value as Partial<Record<keyof Proposal<Op>, unknown>>
  return (
    typeof p.project === 'string' &&
    isName(p.project) &&
    typeof p.id === 'string' &&
    isId(p.id) &&
    Array.isArray(p.ops) &&
    typeof p.principal === 'string' &&
    (p.cause === null || (typeof p.cause === 'string' && isId(p.cause))) &&
    Number.isFinite(p.issuedAtMs) &&
    typeof p.fingerprint === 'string' &&
    typeof p.machine === 'boolean'
  )
}
