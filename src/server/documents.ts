// Text to documents, as people write them: YAML (one or many), JSON, a JSON array, or JSON objects
// one after another. A refusal of a document's content comes back with its line and column.

import { LineCounter, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml'
import type { Document } from 'yaml'
import { VarveError, isVarveError } from '../base/errors.ts'
import { specKind } from '../model/spec.ts'
import type { SpecKind } from '../model/spec.ts'

export interface SpecDocument {
  readonly kind: SpecKind
  /** Plain values as written, ready for the parser of its kind. */
  readonly value: Readonly<Record<string, unknown>>
  /** Runs a parser on it; an INVALID_SPEC with a pointer gains {line, column} in text and details. */
  parse<T>(parser: (value: Readonly<Record<string, unknown>>) => T): T
  /** The same for work that ends later. */
  within<T>(work: () => Promise<T>): Promise<T>
}

interface Place {
  readonly line: number
  readonly column: number
}

const MAX_TEXT_CHARS = 1 << 20
const MAX_DOCUMENTS = 1000

/** @throws VarveError INVALID_SPEC with details {line, column}, TOO_LARGE */
export function readDocuments(text: string): SpecDocument[] {
  if (text.length > MAX_TEXT_CHARS)
    throw new VarveError('TOO_LARGE', `cannot read documents of ${text.length} characters`)
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1))
    lines.addNewLine(at + 1)
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }

  const documents: SpecDocument[] = []
  for (const { offset, piece } of pieces(text))
    for (const parsed of parseAllDocuments(piece, { prettyErrors: false, uniqueKeys: true })) {
      const [error] = parsed.errors
      if (error) throw located(error.message, placeOf(offset + error.pos[0]), {})
      const value = plainValue(parsed, placeOf(offset))
      if (value === null || value === undefined) continue
      const prefixes = Array.isArray(value) ? value.map((_, i) => [String(i)]) : [[]]
      for (const prefix of prefixes)
        documents.push(readOne(parsed, prefix, value, (at) => placeOf(offset + at)))
      if (documents.length > MAX_DOCUMENTS)
        throw new VarveError('TOO_LARGE', `cannot read over ${MAX_DOCUMENTS} documents at once`)
    }
  if (documents.length === 0)
    throw located('cannot read a document: the text is empty', { line: 1, column: 1 }, {})
  return documents
}

function plainValue(parsed: Document, place: Place): unknown {
  try {
    return parsed.toJS()
  } catch (error) {
    // An alias without an anchor, or aliases that would unfold without end.
    throw located((error as Error).message, place, {})
  }
}

function readOne(
  parsed: Document,
  prefix: readonly string[],
  whole: unknown,
  placeOf: (offset: number) => Place,
): SpecDocument {
  const value: unknown = prefix.length === 0 ? whole : (whole as unknown[])[Number(prefix[0])]
  const locate = (error: unknown): unknown => {
    if (!isVarveError(error, 'INVALID_SPEC')) return error
    const pointer = error.details?.['pointer']
    if (typeof pointer !== 'string') return error
    const steps = pointer
      .split('/')
      .slice(1)
      .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    return located(error.message, placeOf(offsetOf(parsed, [...prefix, ...steps])), error.details)
  }
  const relocate = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      throw locate(error)
    }
  }
  return {
    kind: relocate(() => specKind(value)),
    value: value as Readonly<Record<string, unknown>>,
    parse: (parser) => relocate(() => parser(value as Readonly<Record<string, unknown>>)),
    within: (work) =>
      work().catch((error: unknown) => {
        throw locate(error)
      }),
  }
}

function located(message: string, place: Place, details: VarveError['details']): VarveError {
  const text = `line ${place.line}, column ${place.column}: ${message}`
  return new VarveError('INVALID_SPEC', text, { details: { ...details, ...place } })
}

/** Offset of the key the steps lead to, or of the innermost thing on the way that exists. */
function offsetOf(parsed: Document, steps: readonly string[]): number {
  let node: unknown = parsed.contents
  let offset = parsed.contents?.range?.[0] ?? 0
  for (const step of steps) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step)
      if (!pair) break
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(step)]
      offset = (node as { range?: [number, number, number] } | undefined)?.range?.[0] ?? offset
    } else break
  }
  return offset
}

/** JSON values one after another are cut apart; anything else is one piece, for YAML itself. */
function* pieces(text: string): Generator<{ offset: number; piece: string }> {
  if (!/^\s*[{[]/.test(text)) return yield { offset: 0, piece: text }
  let start = -1
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++
    } else if (c === '{' || c === '[') {
      if (depth++ === 0) start = start < 0 ? i : start
    } else if ((c === '}' || c === ']') && --depth === 0) {
      // What stands between two values goes to the later one, where YAML complains about it.
      yield { offset: start, piece: text.slice(start, i + 1) }
      start = -1
    } else if (depth === 0 && start < 0 && !/[\s,]/.test(c as string)) start = i
  }
  if (start >= 0) yield { offset: start, piece: text.slice(start) }
}
