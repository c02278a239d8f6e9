// How the log and every row point at stored bytes: an identity and, beside it, a hint where it lies.

/**
 * `<id>.<pack>.<offset>.<length>`: id is 64 hex digits of keyed BLAKE3 over what is stored (a tree
 * node or a chunk); pack, offset and length say where it lay when the reference was made. Two
 * references are the same thing when their ids are equal; the hint may grow stale.
 */
export type TreeRef = string & { readonly __brand: 'TreeRef' }

export interface Location {
  readonly pack: string
  readonly offset: number
  readonly length: number
}

export function makeTreeRef(id: string, at: Location): TreeRef {
  return `${id}.${at.pack}.${at.offset}.${at.length}` as TreeRef
}

/** The identity in it: 64 hex digits. */
export function refId(ref: TreeRef): string {
  return ref.slice(0, 64)
}

export function refLocation(ref: TreeRef): Location {
  const [, pack, offset, length] = ref.split('.')
  return { pack: pack ?? '', offset: Number(offset), length: Number(length) }
}

export function sameTree(a: TreeRef | null, b: TreeRef | null): boolean {
  return a === b || (a !== null && b !== null && refId(a) === refId(b))
}
