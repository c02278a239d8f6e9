// Nodes of the list of a big file's chunks (chunk-list.ts): sizes, not offsets, so that an insert shifts
// nothing.

import { corrupt } from '../packs/codec.ts'
import { ID_BYTES } from '../ids.ts'
import { CHUNK, Item, LIST } from '../trees/item.ts'
import {
  endNode,
  HEAD_LIST,
  HEAD_LIST_BRANCHES,
  splitNode,
  startNode,
} from '../trees/node-bytes.ts'
import type { EncodedNode } from '../trees/node-bytes.ts'
import type { Place } from '../packs/pack.ts'

/** A node of a list as the one above it holds it. */
export interface ListBranch {
  readonly level: number
  /** Chunks below. */
  readonly chunks: number
  /** Bytes of the file below, id and place of the node. */
  readonly item: Item
}

export interface ListLeaf {
  readonly level: 0
  readonly chunks: readonly Item[]
}

export interface ListInner {
  /** From 1. */
  readonly level: number
  readonly branches: readonly ListBranch[]
}

export type ListNode = ListLeaf | ListInner

export function isListInner(node: ListNode): node is ListInner {
  return node.level > 0
}

export function encodeListNode(node: ListNode): EncodedNode {
  const out = startNode()
  const places: Place[] = []
  const cell = ({ src, at, place }: Item): void => {
    out.copy(src, at, ID_BYTES)
    places.push(place as Place)
  }
  if (isListInner(node)) {
    out.u8(HEAD_LIST_BRANCHES)
    out.varint(node.level)
    out.varint(node.branches.length)
    for (const { chunks, item } of node.branches) {
      out.varint(chunks)
      out.varint(item.sizeBytes)
      cell(item)
    }
  } else {
    out.u8(HEAD_LIST)
    out.varint(node.chunks.length)
    for (const chunk of node.chunks) {
      out.varint(chunk.sizeBytes)
      cell(chunk)
    }
  }
  return endNode(out, places)
}

/** @throws VarveError CORRUPT */
export function decodeListNode(stored: Uint8Array): ListNode {
  const { reader, hints } = splitNode(stored)
  const head = reader.u8()
  if (head !== HEAD_LIST && head !== HEAD_LIST_BRANCHES) throw corrupt('a node is not a chunk list')
  const level = head === HEAD_LIST ? 0 : reader.varint()
  const count = reader.varint()
  if (count < 1 || (head === HEAD_LIST_BRANCHES && level < 1)) throw corrupt('a list has no chunks')
  const chunks: Item[] = []
  const branches: ListBranch[] = []
  for (let i = 0; i < count; i++) {
    const below = level === 0 ? 1 : reader.varint()
    const sizeBytes = reader.varint()
    const at = reader.skip(ID_BYTES)
    const item = new Item(level === 0 ? CHUNK : LIST, sizeBytes, 1, reader.bytes, at, hints.next())
    if (level === 0) chunks.push(item)
    else branches.push({ level: level - 1, chunks: below, item })
  }
  reader.end()
  hints.end()
  return level === 0 ? { level: 0, chunks } : { level, branches }
}
