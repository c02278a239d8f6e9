// Gets everything below a directory of a commit, and goes on where it broke off. There is no book of what
// came: what is here is compared with the commit. A file of the same size whose SHA-256 is that of the
// server's is whole and stays; the others come in archives, many in one request, and big ones alone, by
// ranges (downloading.ts). Whatever was killed, the same command ends with what the commit holds.
//
// Files of the folder that the commit does not have stay as well. Memory: a window of the listing.

import type { FileView } from '../api/files.ts'
import { VarveError } from '../base/errors.ts'
import type { Client } from '../client/client.ts'
import type { Path } from '../model/path.ts'
import { parseFilePath } from '../model/path.ts'
import { getFile } from './downloading.ts'
import type { Folder } from './local-files.ts'
import { saveTar } from './local-files.ts'
import { Patience, patiently } from './patience.ts'
import type { Progress } from './progress.ts'

export interface TreeSizes {
  /** Of a listing, held at once. */
  readonly windowFiles: number
  /** A larger file comes alone, and is gone on with in its middle. */
  readonly aloneBytes: number
}

export const TREE_SIZES: TreeSizes = { windowFiles: 10_000, aloneBytes: 4 << 20 }

/** Less than so much between two files that are needed comes along: a request costs more. */
const GAP_BYTES = 64 * 1024
/** The same where the server reads and sends a digest only. */
const SUM_GAP_BYTES = 1 << 20

const REF = '/projects/:project/repos/:repo/commits/:ref'

export interface DownloadingTreeOptions {
  readonly client: Client
  /** `ref` names one commit, for good: a branch may move meanwhile. */
  readonly params: { readonly project: string; readonly repo: string; readonly ref: string }
  /** The directory; empty: the root. */
  readonly base: Path
  readonly folder: Folder
  readonly progress: Progress
  readonly note: (text: string) => void
  readonly signal: AbortSignal
  readonly sizes?: TreeSizes
}

export interface TreeGot {
  readonly files: number
  /** That were here already. */
  readonly kept: number
}

/** One of the listing. */
interface Wanted {
  readonly view: FileView
  /** Below the folder. */
  readonly path: Path
  /** The one before it in the listing: where an archive of it begins. */
  readonly after: string | undefined
}

/** @throws VarveError; what has come stays for the next time */
export async function getTree(options: DownloadingTreeOptions): Promise<TreeGot> {
  const tree = new TreeDownload(options)
  const { windowFiles } = options.sizes ?? TREE_SIZES
  let after: string | undefined
  for (;;) {
    const window = await tree.listed(after, windowFiles)
    await tree.get(window)
    if (window.length < windowFiles) return tree
    after = window.at(-1)?.view.path
  }
}

class TreeDownload implements TreeGot {
  files = 0
  kept = 0
  readonly #o: DownloadingTreeOptions
  readonly #sizes: TreeSizes

  constructor(options: DownloadingTreeOptions) {
    this.#o = options
    this.#sizes = options.sizes ?? TREE_SIZES
  }

  async listed(after: string | undefined, limit: number): Promise<Wanted[]> {
    const { client, params, base, signal } = this.#o
    const query = { path: base, recursive: true, after, limit }
    const views = await patiently(signal, () =>
      Array.fromAsync(client.lines(`GET ${REF}/ls`, { params, query, signal })),
    )
    return views.map((view, i) => ({
      view,
      path: parseFilePath(this.#inside(view.path)),
      after: views[i - 1]?.path ?? after,
    }))
  }

  #inside(path: string): string {
    const { base } = this.#o
    if (base === '') return path
    if (path.startsWith(`${base}/`)) return path.slice(base.length + 1)
    throw new VarveError('INVALID_PATH', `cannot save "${path}": it is not below "${base}"`)
  }

  async get(window: readonly Wanted[]): Promise<void> {
    const { folder, progress } = this.#o
    const maybe = window.filter(({ view, path }) => folder.sizeOf(path) === view.bytes)
    const whole = new Set(maybe.filter(({ view }) => view.bytes === 0))
    const unsure = new Set(maybe.filter((one) => !whole.has(one)))
    for (const span of spansOf(window, unsure, SUM_GAP_BYTES))
      for (const one of await this.#wholeOf(span, unsure)) whole.add(one)
    this.kept += whole.size
    for (const { view } of whole) progress.skip(view.bytes, 1)
    const big = window.filter((one) => !whole.has(one) && one.view.bytes > this.#sizes.aloneBytes)
    const alone = new Set(big)
    const small = new Set(window.filter((one) => !whole.has(one) && !alone.has(one)))
    for (const span of spansOf(window, small, GAP_BYTES)) await this.#archive(span, small)
    for (const one of big) await this.#alone(one)
  }

  /** Which of them have the content that the server has; again from the last that it told of. */
  async #wholeOf(span: Span, unsure: ReadonlySet<Wanted>): Promise<Wanted[]> {
    const { client, params, base, folder, signal } = this.#o
    const byPath = new Map(span.files.map((one) => [one.view.path, one]))
    const whole: Wanted[] = []
    const patience = new Patience(signal)
    let { after } = span
    while (after !== span.to)
      try {
        const query = { path: base, after, to: span.to }
        const sums = client.lines(`GET ${REF}/checksums`, { params, query, signal })
        for await (const { path, bytes, sha256 } of sums) {
          const one = byPath.get(path)
          const isAsked = one !== undefined && unsure.has(one)
          if (isAsked && (await folder.sha256Of(one.path, bytes)) === sha256) whole.push(one)
          after = path
          patience.renew()
        }
        // A server that goes away in good order ends its list early.
        if (after !== span.to)
          throw new VarveError('UNAVAILABLE', 'cannot compare on: the list ended early')
      } catch (error) {
        await patience.wait(error)
      }
    return whole
  }

  /** Those of a span that are wanted, and again from the first that did not come. */
  async #archive(span: Span, wanted: ReadonlySet<Wanted>): Promise<void> {
    const { client, params, base, folder, progress, signal } = this.#o
    const left = new Map<string, Wanted>()
    for (const one of span.files) if (wanted.has(one)) left.set(one.path, one)
    const patience = new Patience(signal)
    let { after } = span
    while (left.size > 0)
      try {
        const query = { path: base, after, to: span.to }
        const { content } = await client.download(`GET ${REF}/files`, { params, query, signal })
        await saveTar(content, folder, {
          wants: (path) => left.has(path),
          saved: (path, sizeBytes) => {
            after = left.get(path)?.view.path
            left.delete(path)
            this.files++
            progress.add(sizeBytes, 1)
            patience.renew()
          },
        })
        const [lost] = left.values()
        if (lost)
          throw new VarveError('INTERNAL', `cannot get "${lost.view.path}": it was not sent`)
      } catch (error) {
        await patience.wait(error)
      }
  }

  async #alone({ view, path }: Wanted): Promise<void> {
    const { client, params, folder, progress, note, signal } = this.#o
    const to = folder.placeOf(path)
    const beside = folder.besideOf(path)
    const about = { path: view.path, digest: view.digest, sizeBytes: view.bytes, to, beside }
    await getFile({ client, params, ...about, progress, note, signal })
    this.files++
    progress.add(0, 1)
  }
}

/** Neighbours in the listing. */
interface Span {
  readonly files: readonly Wanted[]
  readonly after: string | undefined
  readonly to: string
}

/** Runs of those that are wanted; less than `gapBytes` of others between two of them are part of a run. */
function* spansOf(
  window: readonly Wanted[],
  wanted: ReadonlySet<Wanted>,
  gapBytes: number,
): Generator<Span> {
  let first = -1
  let last = -1
  let gap = 0
  const span = (): Span => ({
    files: window.slice(first, last + 1),
    after: window[first]?.after,
    to: window[last]?.view.path as string,
  })
  for (const [i, one] of window.entries()) {
    if (!wanted.has(one)) {
      gap += one.view.bytes
      continue
    }
    if (first >= 0 && gap > gapBytes) {
      yield span()
      first = -1
    }
    if (first < 0) first = i
    last = i
    gap = 0
  }
  if (first >= 0) yield span()
}
