// What workers read: files of the inputs that their claim names, and where big ones lie.

import { frame, FRAMES_BYTES, SMALL_FILE_BYTES } from '../api/worker-frames.ts'
import type { WorkerRoutes } from '../api/worker-routes.ts'
import type { Claim } from '../api/worker.ts'
import { concat, fromHex } from '../base/bytes.ts'
import { parseFilePath, parsePath } from '../model/path.ts'
import type { Handler } from './call.ts'
import { refuseUnnamed, ticketOf } from './worker-claims.ts'
import type { AnyCall, ClaimDesk, Claims } from './worker-claims.ts'

type ReadingHandlers = {
  readonly [
    K in
      | 'GET /worker/files'
      | 'GET /worker/read'
      | 'POST /worker/read-files'
      | 'GET /worker/runs'
      | 'POST /worker/runs/check'
  ]: Handler<WorkerRoutes[K]>
}

export function readingHandlers(desk: ClaimDesk, claims: Claims): ReadingHandlers {
  const named = async (call: AnyCall, input: string, path: string): Promise<Claim> => {
    const { claim } = await claims.prove(ticketOf(call), call.request.principal)
    refuseUnnamed(claim, input, path)
    return claim
  }
  return {
    async *'GET /worker/files'(call) {
      const { input } = call.query
      const path = parsePath(call.query.path)
      yield* desk.files(await named(call, input, path), input, path)
    },
    async 'GET /worker/read'(call) {
      const { input, offset } = call.query
      const path = parseFilePath(call.query.path)
      const content = desk.read(await named(call, input, path), input, path, offset)
      return { content: await begun(content), contentType: 'application/octet-stream' }
    },
    async 'POST /worker/read-files'(call) {
      const { claim } = await claims.prove(ticketOf(call), call.request.principal)
      const files = call.body.files.map(({ input, path }) => ({ input, path: parseFilePath(path) }))
      for (const { input, path } of files) refuseUnnamed(claim, input, path)
      const content = smallFiles(desk, claim, files)
      return { content: await begun(content), contentType: 'application/octet-stream' }
    },
    async *'GET /worker/runs'(call) {
      const { input, first } = call.query
      const path = parseFilePath(call.query.path)
      const claim = await named(call, input, path)
      for await (const { ids, ...run } of desk.runs(claim, input, path, first))
        yield { ...run, proof: claims.proof(ticketOf(call), ids) }
    },
    async 'POST /worker/runs/check'(call) {
      const ticket = ticketOf(call)
      await claims.prove(ticket, call.request.principal)
      const { hashes, proof } = call.body
      const ids = hashes.map((hash) => desk.chunkId(fromHex(hash)))
      return { ok: claims.isProof(ticket, ids, proof) }
    },
  }
}

/** Stops before a file that is not small, and when it has been enough. */
async function* smallFiles(
  desk: ClaimDesk,
  claim: Claim,
  files: readonly { readonly input: string; readonly path: string }[],
): AsyncGenerator<Uint8Array> {
  let sentBytes = 0
  for (const { input, path } of files) {
    const parts: Uint8Array[] = []
    let sizeBytes = 0
    for await (const part of desk.read(claim, input, path)) {
      parts.push(part)
      sizeBytes += part.length
      if (sizeBytes > SMALL_FILE_BYTES) return
    }
    yield frame({ of: input, path, bytes: concat(parts) })
    sentBytes += sizeBytes
    if (sentBytes > FRAMES_BYTES) return
  }
}

/** Waits for the first bytes, so that a file that is not there is a refusal and not a cut connection. */
async function begun(content: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = content[Symbol.asyncIterator]()
  const first = await iterator.next()
  return (async function* () {
    try {
      for (let next = first; !next.done; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  })()
}
