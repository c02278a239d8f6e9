// Between what other rooms see of an entry and what nodes hold.

import { assert, must } from '../../base/assert.ts'
import { toHex } from '../../base/bytes.ts'
import { VarveError } from '../../base/errors.ts'
import type { Path } from '../../model/path.ts'
import type { TreeRef } from '../../model/tree-ref.ts'
import { makeTreeRef, refId, refLocation } from '../../model/tree-ref.ts'
import { decodeAttributes, encodeAttributes } from '../files/attributes.ts'
import type { FileAttributes } from '../files/attributes.ts'
import type { Ids } from '../ids.ts'
import {
  CHUNK,
  DIR,
  idItem,
  INLINE,
  INLINE_DIR,
  inlineBytes,
  inlineItem,
  isDirKind,
  Item,
  LIST,
} from './item.ts'
import type { DirNode } from './item.ts'
import { decodeDir, encodeDir, isInner, smallDir } from './node.ts'
import type { DirEntry, FileContent, FileEntry, TreeEntry } from '../objects.ts'

export function refOf(item: Item): TreeRef {
  const place = must(item.place, 'the place of a stored item')
  assert(place.offset >= 0, 'where content lies is asked for after its writer has finished')
  return makeTreeRef(item.id, place)
}

/** A directory by reference; what it holds is not known yet. @throws VarveError INVALID_REF */
export function itemOfRef(ref: TreeRef, kind = DIR): Item {
  const id = refId(ref)
  const { pack, offset, length } = refLocation(ref)
  if (pack.startsWith(INLINE_REF)) return smallDirOf(ref, pack.slice(1))
  if (!/^[0-9a-f]{64}$/.test(id) || !(offset >= 0) || !(length >= 0))
    throw new VarveError('INVALID_REF', `cannot read "${ref}" as a reference to stored bytes`)
  return idItem(kind, id, { pack, offset, length }, { sizeBytes: 0, files: 0 })
}

export function entryOf(ids: Ids, path: Path, item: Item): TreeEntry {
  if (item.isDir) return dirEntryOf(ids, path, item)
  return fileEntryOf(ids, path, item)
}

/** Digest and root of a small directory are worked out when asked for. */
export function dirEntryOf(ids: Ids, path: Path, item: Item): DirEntry {
  const { files, sizeBytes } = item
  if (item.kind !== INLINE_DIR)
    return { kind: 'dir', path, files, sizeBytes, digest: item.id, root: refOf(item) }
  return {
    kind: 'dir',
    path,
    files,
    sizeBytes,
    get digest() {
      return toHex(ids.ofNode(inlineBytes(item)))
    },
    get root() {
      return smallDirRef(toHex(ids.ofNode(inlineBytes(item))), item)
    },
  }
}

/** A small directory lies nowhere by itself: a reference to it holds all that it would point at. */
const INLINE_REF = '='

function smallDirRef(id: string, item: Item): TreeRef {
  const stored = encodeDir(must(item.rare.dir, 'a small directory').node).stored()
  const text = base64(stored).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  return makeTreeRef(id, { pack: INLINE_REF + text, offset: 0, length: stored.length })
}

function smallDirOf(ref: TreeRef, text: string): Item {
  try {
    const node = decodeDir(bytesOf(text.replaceAll('-', '+').replaceAll('_', '/')))
    if (!isInner(node)) return smallDir(node)
  } catch {
    // Said below.
  }
  throw new VarveError('INVALID_REF', `cannot read "${ref}" as a reference to stored bytes`)
}

/** Digest and content are worked out when they are asked for; so is a place not yet known. */
export function fileEntryOf(ids: Ids, path: Path, item: Item): FileEntry {
  return item.attributes
    ? new AttributedFile(ids, path, item, decodeAttributes(item.attributes))
    : new StoredFile(ids, path, item)
}

/** As `entryOf`, of an entry of a directory. */
export function entryAt(ids: Ids, path: Path, node: DirNode, i: number): TreeEntry {
  return isDirKind(node.kindAt(i))
    ? dirEntryOf(ids, path, node.itemAt(i))
    : fileEntryAt(ids, path, node, i)
}

/** As `fileEntryOf`, of an entry of a directory. */
export function fileEntryAt(ids: Ids, path: Path, node: DirNode, i: number): FileEntry {
  return node.isBareAt(i)
    ? new ListedFile(ids, path, node, i)
    : fileEntryOf(ids, path, node.itemAt(i))
}

abstract class AnyFile implements FileEntry {
  readonly kind = 'file'
  readonly path: Path
  readonly sizeBytes: number
  readonly #ids: Ids

  constructor(ids: Ids, path: Path, sizeBytes: number) {
    this.path = path
    this.sizeBytes = sizeBytes
    this.#ids = ids
  }

  protected abstract item(): Item

  get digest(): string {
    const item = this.item()
    return item.kind === INLINE ? toHex(this.#ids.ofChunk(inlineBytes(item))) : item.id
  }

  get content(): FileContent {
    return contentOf(this.item())
  }

  toJSON(): FileEntry {
    const { kind, path, sizeBytes, digest, content } = this
    return { kind, path, sizeBytes, digest, content }
  }
}

class StoredFile extends AnyFile {
  readonly #item: Item

  constructor(ids: Ids, path: Path, item: Item) {
    super(ids, path, item.sizeBytes)
    this.#item = item
  }

  protected item(): Item {
    return this.#item
  }
}

/** Many are made of which only the path is looked at. */
class ListedFile extends AnyFile {
  readonly #node: DirNode
  readonly #at: number

  constructor(ids: Ids, path: Path, node: DirNode, at: number) {
    super(ids, path, node.sizeBytesAt(at))
    this.#node = node
    this.#at = at
  }

  protected item(): Item {
    return this.#node.itemAt(this.#at)
  }
}

class AttributedFile extends StoredFile {
  readonly attributes: FileAttributes

  constructor(ids: Ids, path: Path, item: Item, attributes: FileAttributes) {
    super(ids, path, item)
    this.attributes = attributes
  }

  override toJSON(): FileEntry {
    return { ...super.toJSON(), attributes: this.attributes }
  }
}

function contentOf(item: Item): FileContent {
  if (item.kind === INLINE) return { inline: base64(inlineBytes(item)) }
  return item.kind === LIST ? { list: refOf(item) } : { chunk: refOf(item) }
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
}

export function itemOfEntry(entry: TreeEntry): Item {
  const { sizeBytes } = entry
  if (entry.kind === 'dir') {
    const item = itemOfRef(entry.root)
    const { src, at, place } = item
    return item.kind === DIR ? new Item(DIR, sizeBytes, entry.files, src, at, place) : item
  }
  const attributes = entry.attributes && encodeAttributes(entry.attributes)
  return fileItem(entry).withAttributes(attributes)
}

function fileItem({ content, sizeBytes }: FileEntry): Item {
  if ('inline' in content) return inlineItem(bytesOf(content.inline))
  const [kind, ref] = 'list' in content ? [LIST, content.list] : [CHUNK, content.chunk]
  const { src, at, place } = itemOfRef(ref, kind)
  return new Item(kind, sizeBytes, 1, src, at, place)
}
