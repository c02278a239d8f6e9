// What `varve apply -f` takes: documents of three kinds, told apart by their key.

import { nearest } from '../base/nearest.ts'
import { camelCase, isPlain, pointerTo, refuseSpec } from './spec-fields.ts'

export type SpecKind = 'pipeline' | 'spout' | 'egress'

const KINDS: readonly SpecKind[] = ['pipeline', 'spout', 'egress']

/**
 * The kind of a document. A pipeline may itself hold `egress:`, so `pipeline:` wins over the others.
 * @throws VarveError INVALID_SPEC
 */
export function specKind(value: unknown): SpecKind {
  if (!isPlain(value)) return refuseSpec('', 'cannot read the document: expected an object')
  const kind = KINDS.find((word) => isPlain(value[word]) || value[word] === null)
  if (kind) return kind
  const [first] = Object.keys(value)
  const found = first === undefined ? 'it is empty' : `it begins with "${first}:"`
  return refuseSpec(
    first === undefined ? '' : pointerTo('', first),
    `cannot tell what the document is: ${found}, expected "pipeline:", "spout:" or "egress:"`,
    first === undefined ? undefined : nearest(camelCase(first), KINDS),
  )
}
