// What other rooms use of the object engine. Everything streams; memory is bounded by options, never
// by the size of a file, directory or commit.

import type { BlobKey, BlobStore } from '../blob/blob.ts'
import type { Path } from '../model/path.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import type { TreeStats } from '../model/entities.ts'
import type { VerifyOptions } from './upkeep/verify.ts'
import type { Finding } from './upkeep/verify-report.ts'
import type { Root } from './upkeep/mark.ts'
import type { FileAttributes } from './files/attributes.ts'
import type { Usage } from './upkeep/usage.ts'

export interface FileEntry {
  readonly kind: 'file'
  readonly path: Path
  readonly sizeBytes: number
  /** 64 hex digits: equal exactly when content is equal. */
  readonly digest: string
  /**
   * Where its content lies, opaque; give it to `copy` or `readEntry`. Of an entry that `put` returned
   * it can be asked for once that writer has finished, not before.
   */
  readonly content: FileContent
  /** Where it has any. */
  readonly attributes?: FileAttributes
}

export interface DirEntry {
  readonly kind: 'dir'
  readonly path: Path
  /** Files below it, and their bytes. */
  readonly files: number
  readonly sizeBytes: number
  /** Covers names and content of all below. */
  readonly digest: string
  readonly root: TreeRef
}

export type TreeEntry = FileEntry | DirEntry

/** JSON-able. Inline bytes are base64; a chunk is a reference; a list is a node of chunk references. */
export type FileContent =
  | { readonly inline: string }
  | { readonly chunk: TreeRef }
  | { readonly list: TreeRef }

/** One chunk of a file. */
export type LocatedChunk = {
  /** 64 hex digits. */
  readonly id: string
  readonly sizeBytes: number
} & (
  | { readonly frame: SoleFrame }
  /** It shares a frame with chunks that may be of other files: here are its bytes. */
  | { readonly bytes: Uint8Array }
)

/** The frame of one chunk and no other, a range of a blob: a head and then the bytes. */
export interface SoleFrame {
  readonly key: BlobKey
  readonly offset: number
  readonly length: number
  readonly headBytes: number
  readonly zstd: boolean
}

export interface Change {
  readonly path: Path
  readonly old: FileEntry | undefined
  readonly new: FileEntry | undefined
}

/** What differs below a directory, in all. */
export interface DirectoryChange {
  readonly path: Path
  readonly added: { readonly files: number; readonly bytes: number }
  readonly changed: { readonly files: number; readonly oldBytes: number; readonly newBytes: number }
  readonly deleted: { readonly files: number; readonly bytes: number }
}

export interface MergeResult {
  readonly root: TreeRef
  readonly stats: TreeStats
}

/** `deleteBytes` from `offset` on give way to the content. */
export interface PatchEdit {
  readonly offset: number
  readonly deleteBytes: number
  readonly content: Uint8Array | AsyncIterable<Uint8Array>
}

/** Collects writes of one author; nothing is visible until the returned run is named in the log. */
export interface TreeWriter {
  /**
   * The whole content; the later put of a path in one run wins. Content is chunked and packed as it comes.
   * @throws VarveError TOO_LARGE on too many attributes
   */
  put(
    path: Path,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    attributes?: FileAttributes,
  ): Promise<FileEntry>
  /** Adds to the end of the file as it is in `base`; a conflict if that changed since. */
  append(path: Path, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>
  /**
   * Replaces stretches of the file as this writer has it, or as it is in `base`; of the latter it is a
   * conflict if that changed since. Edits are in order and apart, offsets those before the first. Costs
   * what the edits are, whatever the size of the file.
   * @throws VarveError INVALID_OPTION where they are not, or reach beyond the end of the file in `base`
   */
  patch(path: Path, edits: readonly PatchEdit[]): Promise<void>
  /** Contents one after another by reference, cut again only where they meet. They must be durable. */
  assemble(
    path: Path,
    entries: readonly FileEntry[],
    attributes?: FileAttributes,
  ): Promise<FileEntry>
  /** By reference: no data moves. A directory entry copies its whole tree. */
  copy(path: Path, entry: TreeEntry): Promise<void>
  /** A file or everything below a directory. */
  delete(path: Path): Promise<void>
  /**
   * Everything durable; the run. Empty run if nothing was written.
   * @throws VarveError SESSION_CLOSED when what it was built on was collected meanwhile
   */
  finish(): Promise<TreeRef>
  /**
   * `finish` and then `merge(base, [run], since)` in one pack and one put, for a commit in one shot;
   * `since` is the tree this writer was made with. Without anything new nothing is put.
   * @throws VarveError PATH_CONFLICT with details {paths}
   */
  finishOnto(base: TreeRef | null): Promise<{ run: TreeRef; root: TreeRef; stats: TreeStats }>
  /** Forgets it; what was uploaded is unreferenced. */
  abandon(): void
}

/** Merges that are stored together: one pack, one put. */
export interface Merging {
  /**
   * As `Objects.merge`, after those asked for before. Until `close` has returned, what it gives may be
   * a base here and must not be named anywhere else. One that fails harms no other.
   */
  merge(base: TreeRef | null, runs: readonly TreeRef[], since: TreeRef | null): Promise<MergeResult>
  /** Everything durable; where nothing was merged, nothing is put. No merge may be asked for after it. */
  close(): Promise<void>
}

export interface Objects {
  /** `base`: the tree that appends and dedup build on. */
  writer(base: TreeRef | null): TreeWriter
  /** The tree without entries. */
  emptyTree(): Promise<TreeRef>
  stat(root: TreeRef | null, path: Path): Promise<TreeEntry | undefined>
  /** @throws VarveError NOT_FOUND_PATH, CORRUPT */
  read(
    root: TreeRef | null,
    path: Path,
    range?: { offset: number; length?: number },
  ): AsyncIterable<Uint8Array>
  readEntry(
    entry: FileEntry,
    range?: { offset: number; length?: number },
  ): AsyncIterable<Uint8Array>
  /**
   * The chunks of a file in order, from the `first` on (counted from 0), for somebody who fetches them
   * from the blob store. Frames come unread and unchecked: whoever has the bytes asks `chunkId`. An
   * inline file has no chunks.
   * @throws VarveError NOT_FOUND_PATH, CORRUPT
   */
  locate(root: TreeRef | null, path: Path, first?: number): AsyncIterable<LocatedChunk>
  /** The id of the chunk whose bytes have this BLAKE3 (32 bytes). */
  chunkId(hash: Uint8Array): string
  /** Of the blob store under it; undefined: nobody else reaches that. */
  readonly presign: BlobStore['presign']
  /** Children of a directory in byte order of their names, strictly after `after` (a name). */
  list(
    root: TreeRef | null,
    path: Path,
    options?: { after?: string; limit?: number },
  ): AsyncIterable<TreeEntry>
  /**
   * All files below a path, depth first, the children of a directory in byte order of their names;
   * this is what "path order" means (`comparePaths`). Nothing if nothing is there.
   */
  walk(root: TreeRef | null, path?: Path): AsyncIterable<FileEntry>
  /** Files and directories that match, in path order. @throws VarveError INVALID_PATH on a bad pattern */
  glob(root: TreeRef | null, pattern: string): AsyncIterable<TreeEntry>
  /** Files that differ, in path order; equal subtrees are not read. */
  diff(a: TreeRef | null, b: TreeRef | null, path?: Path): AsyncIterable<Change>
  /**
   * The same summed up by directory, each after those below it: `path` last, of others to `depth` levels
   * below it. What stands on one side only is a row that is not taken apart, nor read.
   */
  diffSums(
    a: TreeRef | null,
    b: TreeRef | null,
    path: Path,
    depth: number,
  ): AsyncIterable<DirectoryChange>
  /** Entries (files or directories matched by the glob) that differ: what planning needs. */
  diffGlob(
    a: TreeRef | null,
    b: TreeRef | null,
    pattern: string,
  ): AsyncIterable<{ path: Path; old: TreeEntry | undefined; new: TreeEntry | undefined }>
  /**
   * `base` with the runs merged onto it in order. Putting or deleting a whole path is blind: the
   * later wins. `since` is the tree the runs' author saw: a file appended to or patched that differs
   * there from `base`, or a file against a directory, is a conflict.
   * @throws VarveError PATH_CONFLICT with details {paths}
   */
  merge(base: TreeRef | null, runs: readonly TreeRef[], since: TreeRef | null): Promise<MergeResult>
  /** For many merges, each of which may stand on those before it. */
  merging(): Merging
  /** A small value as one chunk (a note, a blob of the log). */
  /** `announce` is awaited when it is known where they will lie, and before they are stored. */
  putBytes(bytes: Uint8Array, announce?: (ref: TreeRef) => Promise<void>): Promise<TreeRef>
  getBytes(ref: TreeRef): Promise<Uint8Array>
  stats(root: TreeRef | null): Promise<TreeStats>
  /**
   * Stored bytes of groups of trees, and what of them each has to itself (usage.ts says what is counted).
   * Cheapest with groups in the order of history. @throws VarveError CORRUPT, UNAVAILABLE, TOO_LARGE
   */
  usage(groups: readonly (readonly TreeRef[])[], signal?: AbortSignal): Promise<Usage>
  /** How often it was loaded here what is condemned. */
  readonly loads: number
  /** Writers that begin after it build on nothing that was condemned before it. @throws UNAVAILABLE */
  loadCondemned(): Promise<void>
  /** The `loads` there were when the writer of this began; undefined: it is not known here (any more). */
  born(ref: TreeRef): number | undefined
  /** Whether all of it is there and nothing of it condemned, as of the last load. It costs a walk. */
  isHeld(roots: readonly Root[]): Promise<boolean>
  /** Looks for what is damaged or gone, beside everything that goes on (verify.ts). @throws VarveError UNAVAILABLE */
  verify(options: VerifyOptions): AsyncIterable<Finding>
}
