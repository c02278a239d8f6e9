// Between what other rooms see of an entry and what nodes hold.

import { assert, must } from '../base/assert.ts'
import { toHex } from '../base/bytes.ts'
import { VarveError } from '../base/errors.ts'
import type { Path } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { makeTreeRef, refId, refLocation } from '../model/tree-ref.ts'
import type { Ids } from './ids.ts'
import { CHUNK, DIR, idItem, INLINE, inlineItem, Item, LIST } from './node.ts'
import type { DirEntry, FileContent, FileEntry, TreeEntry } from './objects.ts'

export function refOf(item: Item): TreeRef {
  const place = must(item.place, 'the place of a stored item')
  assert(place.offset >= 0, 'where content lies is asked for after its writer has finished')
  return makeTreeRef(item.id, place)
}

/** A directory by reference; what it holds is not known yet. @throws VarveError INVALID_REF */
export function itemOfRef(ref: TreeRef, kind = DIR): Item {
  const id = refId(ref)
  const { pack, offset, length } = refLocation(ref)
  if (!/^[0-9a-f]{64}$/.test(id) || !(offset >= 0) || !(length >= 0))
    throw new VarveError('INVALID_REF', `cannot read "${ref}" as a reference to stored bytes`)
  return idItem(kind, id, { pack, offset, length }, { sizeBytes: 0, files: 0 })
}

export function entryOf(ids: Ids, path: Path, item: Item): TreeEntry {
  if (item.isDir) return dirEntryOf(path, item)
  return fileEntryOf(ids, path, item)
}

export function dirEntryOf(path: Path, item: Item): DirEntry {
  const { files, sizeBytes, id: digest } = item
  return { kind: 'dir', path, files, sizeBytes, digest, root: refOf(item) }
}

/** Digest and content of an inline file are worked out when asked for; so is a place not yet known. */
export function fileEntryOf(ids: Ids, path: Path, item: Item): FileEntry {
  const { sizeBytes } = item
  if (item.kind !== INLINE && item.place && item.place.offset >= 0)
    return { kind: 'file', path, sizeBytes, digest: item.id, content: contentOf(item) }
  return {
    kind: 'file',
    path,
    sizeBytes,
    get digest() {
      return item.kind === INLINE ? toHex(ids.ofChunk(inlineBytes(item))) : item.id
    },
    get content() {
      return contentOf(item)
    },
  }
}

function inlineBytes(item: Item): Uint8Array {
  return item.src.subarray(item.at, item.at + item.sizeBytes)
}

function contentOf(item: Item): FileContent {
  if (item.kind === INLINE) return { inline: btoa(String.fromCharCode(...inlineBytes(item))) }
  return item.kind === LIST ? { list: refOf(item) } : { chunk: refOf(item) }
}

export function itemOfEntry(entry: TreeEntry): Item {
  const { sizeBytes } = entry
  if (entry.kind === 'dir') {
    const { src, at, place } = itemOfRef(entry.root)
    return new Item(DIR, sizeBytes, entry.files, src, at, place)
  }
  const { content } = entry
  if ('inline' in content)
    return inlineItem(Uint8Array.from(atob(content.inline), (c) => c.charCodeAt(0)))
  const [kind, ref] = 'list' in content ? [LIST, content.list] : [CHUNK, content.chunk]
  const { src, at, place } = itemOfRef(ref, kind)
  return new Item(kind, sizeBytes, 1, src, at, place)
}
