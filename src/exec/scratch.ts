// The port of a worker's scratch space: where inputs are laid out and outputs picked up. Worker code
// never touches a disk itself.

export interface ScratchEntry {
  /** Relative to the folder that was listed, parts joined with "/". */
  readonly path: string
  /** `bad-name`: its name is not UTF-8; `other`: a device, socket or pipe. */
  readonly kind: 'file' | 'link' | 'other' | 'bad-name'
  readonly sizeBytes: number
  /** Links: what they point at as a path below the whole folder, or undefined if outside of it. */
  readonly target: string | undefined
}

export interface ScratchFolder {
  /** What a Runner gets as `pfs`. */
  readonly path: string
  /**
   * Creates or replaces a file and the folders above it. `digest` names the content; what is written
   * under one may be kept for `layKept`.
   */
  write(
    path: string,
    content: AsyncIterable<Uint8Array> | Uint8Array,
    digest?: string,
  ): Promise<void>
  /**
   * Creates or replaces a file with content kept of an earlier `write`; false: it has to be written.
   * Only where code cannot change what was laid out for it.
   */
  layKept?(path: string, digest: string): Promise<boolean>
  /** Makes a folder, empty whatever was there. */
  empty(path: string): Promise<void>
  /** A file or everything below a folder; absent is no error. */
  remove(path: string): Promise<void>
  /** All below a folder but folders themselves, in no order; links are not followed. */
  entries(path: string): AsyncIterable<ScratchEntry>
  read(path: string): AsyncIterable<Uint8Array>
  /** Gives the folder and all in it back. */
  close(): Promise<void>
}

export interface Scratch {
  /** A new, empty folder. @throws VarveError DISK_FULL */
  folder(): Promise<ScratchFolder>
}
