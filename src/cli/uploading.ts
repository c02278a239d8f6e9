// Sends local files in parts, several at once, and makes them one commit. Whatever breaks off, a part
// that was acknowledged is not sent again: the same command finds the upload by its source, compares
// what is there with what is here, and goes on; where something differs it begins anew and says so.

import { createHash } from 'node:crypto'
import type { PutResult } from '../api/files.ts'
import type { PartView, UploadView } from '../api/uploads.ts'
import { forEachLimit } from '../base/async.ts'
import { systemClock } from '../base/clock.ts'
import { isVarveError } from '../base/errors.ts'
import type { Client } from '../client/client.ts'
import { archiveOf, checkUnchanged, contentOf } from './batches.ts'
import type { LocalPart } from './batches.ts'
import type { LocalFile } from './folder.ts'
import { patiently } from './patience.ts'
import type { Progress } from './progress.ts'
import { many } from './words.ts'

/** Parts on their way at once: one is made safe while the next is sent. A server holds some of each. */
const AT_ONCE = 2
/** Parts planned between two looks at what else is to be done. */
const BREATHE_EVERY = 16

const UPLOADS = '/projects/:project/repos/:repo/branches/:branch/uploads'

export interface UploadingOptions {
  readonly client: Client
  readonly branch: { readonly project: string; readonly repo: string; readonly branch: string }
  /** The same for the same files put to the same place. */
  readonly source: string
  readonly message: string | undefined
  /** Begin anew, whatever is there. */
  readonly fresh: boolean
  /** The parts, the same whenever it is asked. */
  readonly plan: () => Iterable<LocalPart>
  /** Where a file of the plan goes in the repo. */
  readonly pathOf: (file: LocalFile) => string
  /** Where a batch goes. */
  readonly base: string | undefined
  readonly progress: Progress
  readonly note: (text: string) => void
  readonly signal: AbortSignal
}

export class Uploading {
  readonly #options: UploadingOptions
  /** Whether something is safe that a repeated command need not send. */
  hasParts = false

  constructor(options: UploadingOptions) {
    this.#options = options
  }

  /** @throws VarveError; what was acknowledged stays, `hasParts` tells whether that is anything */
  async send(): Promise<PutResult> {
    const { branch, plan, signal } = this.#options
    const { upload, there } = (await this.#found()) ?? (await this.#begun())
    const params = { ...branch, upload: upload.upload }
    let parts = 0
    const big = new Set<LocalFile>()
    const missing = async function* (): AsyncGenerator<{ part: number; local: LocalPart }> {
      for (const local of plan()) {
        if (local.kind === 'segment') big.add(local.file)
        const part = parts++
        if (!there.has(part)) yield { part, local }
        if (parts % BREATHE_EVERY === 0) await systemClock.sleep(0)
        signal.throwIfAborted()
      }
    }
    await forEachLimit(missing(), AT_ONCE, async ({ part, local }) => {
      await this.#sent(params.upload, part, local)
      this.hasParts = true
    })
    for (const file of big) checkUnchanged(file)
    return await this.#patiently(() =>
      this.#options.client.call(`POST ${UPLOADS}/:upload/finish`, {
        params,
        body: { parts },
        signal,
      }),
    )
  }

  /** The upload of an earlier run, if all it holds is what is here. */
  async #found(): Promise<Begun | undefined> {
    const { client, branch, source, fresh, note, progress, signal } = this.#options
    const query = { source }
    const found: readonly UploadView[] = await this.#patiently(() =>
      Array.fromAsync(client.lines(`GET ${UPLOADS}`, { params: branch, query, signal })),
    )
    let going: Begun | undefined
    for (const upload of found.toSorted((a, b) => b.openedAtMs - a.openedAtMs)) {
      const params = { ...branch, upload: upload.upload }
      const parts: readonly PartView[] = await this.#patiently(() =>
        Array.fromAsync(client.lines(`GET ${UPLOADS}/:upload/parts`, { params, signal })),
      )
      const there = new Map(parts.map((part) => [part.part, part]))
      if (!going && !fresh && (await this.#isSame(there))) {
        going = { upload, there }
        continue
      }
      if (!going && !fresh && there.size > 0)
        note('what is here is not what was sent before: it starts anew')
      // Its finish may have begun: then it ends by itself.
      await this.#patiently(() =>
        client.call(`DELETE ${UPLOADS}/:upload`, { params, signal }),
      ).catch(ignoreEnded)
    }
    if (going && going.there.size > 0) {
      this.hasParts = true
      note(`goes on: ${many(going.there.size, 'part')} of an earlier run came through`)
      for (const { bytes, files } of going.there.values()) progress.skip(bytes, files)
    }
    return going
  }

  async #begun(): Promise<Begun> {
    const { client, branch, source, message, signal } = this.#options
    const body = { source, ...(message === undefined ? {} : { message }) }
    const upload = await this.#patiently(() =>
      client.call(`POST ${UPLOADS}`, { params: branch, body, signal }),
    )
    return { upload, there: new Map() }
  }

  /** Whether each part that is there is one of the plan: of segments by their digest. */
  async #isSame(there: ReadonlyMap<number, PartView>): Promise<boolean> {
    const { plan, pathOf, signal } = this.#options
    let part = 0
    let same = 0
    for (const local of plan()) {
      const one = there.get(part++)
      if (part % BREATHE_EVERY === 0) await systemClock.sleep(0)
      signal.throwIfAborted()
      if (!one) continue
      if (one.kind !== local.kind || one.bytes !== local.sizeBytes) return false
      if (local.kind === 'batch' ? one.mark !== local.mark : one.path !== pathOf(local.file))
        return false
      if (
        local.kind === 'segment' &&
        (one.offset !== local.offset || !(await isSameIn(one, local)))
      )
        return false
      same++
    }
    return same === there.size
  }

  async #sent(upload: string, part: number, local: LocalPart): Promise<PartView> {
    const { client, branch, base, pathOf, progress, signal } = this.#options
    const params = { ...branch, upload, part: String(part) }
    return await this.#patiently(async () => {
      const source = new Source(local, progress)
      try {
        const content = (): AsyncIterable<Uint8Array> => source.content()
        return local.kind === 'batch'
          ? await client.upload(`PUT ${UPLOADS}/:upload/batches/:part`, {
              params,
              query: { path: base, mark: local.mark },
              content,
              signal,
            })
          : await client.upload(`PUT ${UPLOADS}/:upload/segments/:part`, {
              params,
              query: {
                path: pathOf(local.file),
                offset: local.offset,
                totalBytes: local.file.sizeBytes,
              },
              content,
              signal,
            })
      } catch (error) {
        source.takeBack()
        throw error
      }
    })
  }

  #patiently<T>(work: () => Promise<T>): Promise<T> {
    return patiently(this.#options.signal, work)
  }
}

interface Begun {
  readonly upload: UploadView
  readonly there: ReadonlyMap<number, PartView>
}

/** The bytes of one part, counted; read as often as it is asked. */
class Source {
  sentBytes = 0
  sentFiles = 0
  readonly #local: LocalPart
  readonly #progress: Progress

  constructor(local: LocalPart, progress: Progress) {
    this.#local = local
    this.#progress = progress
  }

  /** All of it, from its beginning: what went out before goes out once more. */
  async *content(): AsyncGenerator<Uint8Array> {
    const local = this.#local
    this.takeBack()
    if (local.kind === 'segment') {
      for await (const chunk of contentOf(local.file, local.offset, local.sizeBytes)) {
        this.#count(chunk.length, 0)
        yield chunk
      }
      if (local.offset === 0) this.#count(0, 1)
      return
    }
    // Of an archive the files count, not its headers: evenly, as it goes out.
    const { files, sizeBytes } = local
    const whole = sizeBytes + files.length * 1024
    let out = 0
    for await (const chunk of archiveOf(files)) {
      out = Math.min(whole, out + chunk.length)
      const part = out / whole
      this.#count(
        Math.floor(part * sizeBytes) - this.sentBytes,
        Math.floor(part * files.length) - this.sentFiles,
      )
      yield chunk
    }
    this.#count(sizeBytes - this.sentBytes, files.length - this.sentFiles)
  }

  /** What was counted did not arrive. */
  takeBack(): void {
    this.#progress.takeBack(this.sentBytes, this.sentFiles)
    this.sentBytes = 0
    this.sentFiles = 0
  }

  #count(bytes: number, files: number): void {
    this.sentBytes += bytes
    this.sentFiles += files
    this.#progress.add(bytes, files)
  }
}

async function isSameIn(
  there: PartView,
  local: Extract<LocalPart, { kind: 'segment' }>,
): Promise<boolean> {
  if (there.totalBytes !== local.file.sizeBytes) return false
  const hash = createHash('sha256')
  for await (const chunk of contentOf(local.file, local.offset, local.sizeBytes)) hash.update(chunk)
  return hash.digest('hex') === there.sha256
}

function ignoreEnded(error: unknown): void {
  if (!isVarveError(error, 'NOT_OPEN') && !isVarveError(error, 'NOT_FOUND_UPLOAD')) throw error
}
