// What travels on the bus between proposers, lanes and followers. A bus inside one process hands the
// very messages on: then nobody prints or parses, and everybody shares the values, which never change.
//
// On a bus that others can reach each message carries a MAC over its topic, kind, project and value:
// lanes, followers and proposers believe what they read, so they read nothing else.

import { concat, fromUtf8, utf8 } from '../base/bytes.ts'
import type { ErrorCode } from '../base/errors.ts'
import { TOPICS } from '../bus/bus.ts'
import type { BusMessage } from '../bus/bus.ts'
import { SHARDS } from '../bus/topics.ts'
import { isId } from '../model/id.ts'
import type { Id } from '../model/id.ts'
import { isName } from '../model/name.ts'
import type { Mac } from './guests.ts'
import type { Entry, Proposal } from './machine.ts'

/** A project's partition in the topics of the log: FNV-1a over the name. */
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

interface Content {
  readonly topic: string
  readonly project: string
  readonly kind: string
  readonly body: unknown
  readonly print?: (() => Uint8Array) | undefined
}

/** Printed and signed when somebody asks for the bytes. */
class Message implements BusMessage {
  readonly partition: number
  readonly key: string
  readonly kind: string
  readonly body: unknown
  readonly #content: Content
  readonly #mac: Mac | undefined
  #value: Uint8Array | undefined
  #headers: Readonly<Record<string, string>> | undefined

  constructor(content: Content, mac: Mac | undefined) {
    this.partition = shardOf(content.project)
    this.key = content.project
    this.kind = content.kind
    this.body = content.body
    this.#content = content
    this.#mac = mac
  }

  get value(): Uint8Array {
    const { print, body } = this.#content
    return (this.#value ??= print ? print() : utf8(JSON.stringify(body)))
  }

  get headers(): Readonly<Record<string, string>> {
    const { kind, topic } = this.#content
    return (this.#headers ??= this.#mac
      ? { kind, mac: this.#mac.sign(signed(topic, kind, this.key, this.value)) }
      : { kind })
  }
}

function signed(topic: string, kind: string, project: string, value: Uint8Array): Uint8Array {
  return concat([utf8(`${topic}\n${kind}\n${project}\n`), value])
}

/** What is read of a message; 'forged': it does not carry the MAC it should. */
function contentOf(
  topic: string,
  from: BusMessage,
  mac: Mac | undefined,
): { readonly kind: string; readonly body: unknown } | 'forged' | undefined {
  if (from instanceof Message) return from
  const { kind = '', mac: given } = from.headers
  if (mac && (given === undefined || !mac.verify(signed(topic, kind, from.key, from.value), given)))
    return 'forged'
  try {
    return { kind, body: JSON.parse(fromUtf8(from.value)) }
  } catch {
    return undefined
  }
}

export function encodeSent<Op>(sent: Sent<Op>, mac?: Mac): BusMessage {
  const { kind } = sent
  const body = kind === 'ring' ? sent.project : sent.proposal
  const project = kind === 'ring' ? sent.project : sent.proposal.project
  return new Message({ topic: TOPICS.proposals, project, kind, body }, mac)
}

/** Undefined when it makes no sense, 'forged' when `mac` is given and does not say it is ours. */
export function decodeSent<Op>(from: BusMessage, mac?: Mac): Sent<Op> | 'forged' | undefined {
  const content = contentOf(TOPICS.proposals, from, mac)
  if (content === undefined || content === 'forged') return content
  const { kind, body: value } = content
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
  mac?: Mac,
): BusMessage {
  return new Message({ topic: TOPICS.log, project, kind: 'entries', body: entries, print }, mac)
}

export function encodeNotices(project: string, notices: readonly Notice[], mac?: Mac): BusMessage {
  return new Message({ topic: TOPICS.log, project, kind: 'notices', body: notices }, mac)
}

export function encodeLook(project: string, mac?: Mac): BusMessage {
  return new Message({ topic: TOPICS.log, project, kind: 'look', body: null }, mac)
}

/** Undefined when it makes no sense, 'forged' when `mac` is given and does not say it is ours. */
export function decodeTold<Fact>(from: BusMessage, mac?: Mac): Told<Fact> | 'forged' | undefined {
  const content = contentOf(TOPICS.log, from, mac)
  if (content === undefined || content === 'forged') return content
  const project = from.key
  const { kind, body: value } = content
  if (kind === 'look') return { kind, project }
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
    typeof p.machine === 'boolean' &&
    (p.view === undefined || (Number.isSafeInteger(p.view) && (p.view as number) > 0))
  )
}
