// What workers in processes of their own speak; each route is one act of the WorkerApi.
//
// A worker shows two things: its token (`Authorization: Bearer`), which says of which pool it is, and,
// on everything that is about a chunk, the ticket its claim came with (header `varve-claim`). The
// server knows from the ticket which chunk that is and reads what belongs to it from the recorded
// plan: nothing a worker says about its chunk is believed.

import { Type } from 'typebox'
import type { DatumResult } from '../model/datum.ts'
import type { TreeRef } from '../model/tree-ref.ts'
import { defineRoute } from './route.ts'
import type { RouteKey } from './route.ts'
import { listOf, nullable, oneOf } from './shapes.ts'
import type { Claim, InputFile, WorkerLine } from './worker.ts'
import { MAX_FRAMES } from './worker-frames.ts'
import { MAX_RUN_CHUNKS } from './worker-runs.ts'
import type { InputRun } from './worker-runs.ts'

/** Where a ticket is shown. */
export const CLAIM_HEADER = 'varve-claim'

const Count = Type.Integer({ minimum: 0 })
const Name = Type.String({ pattern: '^[A-Za-z0-9._-]{1,120}$' })
const WorkerTree = Type.Unsafe<TreeRef>(Type.String({ maxLength: 400 }))

export const claimWork = defineRoute({
  method: 'POST',
  path: '/worker/claim',
  permission: 'worker',
  summary: 'Wait for a chunk of work',
  body: {
    json: Type.Object({
      worker: Name,
      /** Checked against the token's. */
      pool: Type.String(),
      waitMs: Type.Integer({ minimum: 0, maximum: 60_000 }),
    }),
  },
  answer: {
    json: nullable(
      Type.Object({
        claim: Type.Unsafe<Claim>(Type.Object({})),
        ticket: Type.String(),
        /** Where to send what is about this chunk; null: where this was asked. */
        api: nullable(Type.String()),
      }),
    ),
  },
})

export const beatWork = defineRoute({
  method: 'POST',
  path: '/worker/beat',
  permission: 'worker',
  summary: 'The worker lives and keeps these',
  body: {
    json: Type.Object({
      worker: Name,
      beat: Count,
      /** Tickets. */
      keeps: listOf(Type.String()),
    }),
  },
  answer: {
    json: Type.Object({
      /** Of `keeps`, by index: no longer its own. */
      lost: listOf(Count),
    }),
  },
})

export const listInput = defineRoute({
  method: 'GET',
  path: '/worker/files',
  permission: 'worker',
  summary: 'Files of an input of the chunk, in path order',
  query: Type.Object({ input: Type.String(), path: Type.String() }),
  answer: { lines: Type.Unsafe<InputFile>(Type.Object({})) },
})

export const readInput = defineRoute({
  method: 'GET',
  path: '/worker/read',
  permission: 'worker',
  summary: 'Content of a file of an input of the chunk',
  query: Type.Object({
    input: Type.String(),
    path: Type.String(),
    /** Of its first byte; to go on where a connection was lost. */
    offset: Type.Optional(Count),
  }),
  answer: 'bytes',
})

export const readInputs = defineRoute({
  method: 'POST',
  path: '/worker/read-files',
  permission: 'worker',
  summary: 'Small files of inputs of the chunk, in one body (worker-frames.ts); it may stop early',
  body: {
    json: Type.Object({
      files: Type.Unsafe<readonly { readonly input: string; readonly path: string }[]>(
        Type.Array(Type.Object({ input: Type.String(), path: Type.String() }), {
          maxItems: MAX_FRAMES,
        }),
      ),
    }),
  },
  answer: 'bytes',
})

export const locateInput = defineRoute({
  method: 'GET',
  path: '/worker/runs',
  permission: 'worker',
  summary: 'Where to fetch a file of an input of the chunk (worker-runs.ts); nothing: read it',
  query: Type.Object({
    input: Type.String(),
    path: Type.String(),
    /** Chunk of the file, from 0; to go on where something failed. */
    first: Type.Optional(Count),
  }),
  answer: { lines: Type.Unsafe<InputRun>(Type.Object({})) },
})

export const checkRun = defineRoute({
  method: 'POST',
  path: '/worker/runs/check',
  permission: 'worker',
  summary: 'Whether the chunks of a run are what they should be',
  body: {
    json: Type.Object({
      proof: Type.String({ maxLength: 100 }),
      /** BLAKE3 of each chunk, in order. */
      hashes: Type.Unsafe<readonly string[]>(
        Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' }), { maxItems: MAX_RUN_CHUNKS }),
      ),
    }),
  },
  answer: { json: Type.Object({ ok: Type.Boolean() }) },
})

// What writes output carries `act`: 0 for the first of a chunk, one more after each that succeeded.
// The one before is answered again and not done again; any later one means that what came before was
// lost with the server that had it.
const Act = { act: Count }

export const putOutput = defineRoute({
  method: 'POST',
  path: '/worker/output/put',
  permission: 'worker',
  summary: 'A file of the output of a datum',
  query: Type.Object({ ...Act, datum: Type.String(), path: Type.String() }),
  body: 'bytes',
  answer: 'none',
})

export const putOutputs = defineRoute({
  method: 'POST',
  path: '/worker/output/put-files',
  permission: 'worker',
  summary: 'Small files of the output of datums, in one body (worker-frames.ts)',
  query: Type.Object(Act),
  body: 'bytes',
  answer: 'none',
})

export const copyOutput = defineRoute({
  method: 'POST',
  path: '/worker/output/copy',
  permission: 'worker',
  summary: 'A file of an input as output of a datum, by reference',
  body: {
    json: Type.Object({
      ...Act,
      datum: Type.String(),
      path: Type.String(),
      input: Type.String(),
      inputPath: Type.String(),
    }),
  },
  answer: 'none',
})

export const dropOutput = defineRoute({
  method: 'POST',
  path: '/worker/output/drop',
  permission: 'worker',
  summary: 'Forget what a datum put so far',
  body: { json: Type.Object({ ...Act, datum: Type.String() }) },
  answer: 'none',
})

/** What became of a datum, as a worker may say it: the rest stands in the plan. */
export const WorkerResult = Type.Object({
  id: Type.String(),
  state: oneOf(['success', 'failed', 'recovered']),
  attempts: Count,
  exit: nullable(
    Type.Object({
      code: nullable(Type.Integer()),
      signal: nullable(Type.String({ maxLength: 100 })),
      timedOut: Type.Boolean(),
    }),
  ),
  lastLines: listOf(Type.String({ maxLength: 4_000 })),
  times: Type.Object({ layoutMs: Type.Number(), runMs: Type.Number(), uploadMs: Type.Number() }),
  files: Count,
})
export type WorkerResult = Omit<DatumResult, 'key' | 'why' | 'inputs'>

export const finishOutput = defineRoute({
  method: 'POST',
  path: '/worker/output/finish',
  permission: 'worker',
  summary: 'Make the output durable; the body has a WorkerResult a line, one for each datum',
  query: Type.Object(Act),
  body: 'bytes',
  answer: { json: Type.Object({ tree: WorkerTree, receipt: Type.String() }) },
})

export const abandonOutput = defineRoute({
  method: 'POST',
  path: '/worker/output/abandon',
  permission: 'worker',
  summary: 'Forget the output of the chunk',
  answer: 'none',
})

export const sendLines = defineRoute({
  method: 'POST',
  path: '/worker/lines',
  permission: 'worker',
  summary: 'Lines of user code',
  body: {
    json: Type.Object({
      /** Another one for each batch of a chunk: a batch sent twice counts once. */
      batch: Count,
      lines: Type.Unsafe<readonly WorkerLine[]>(
        Type.Array(
          Type.Object({
            atMs: Type.Number(),
            datum: Type.String(),
            attempt: Count,
            stream: oneOf(['stdout', 'stderr', 'varve']),
            text: Type.String({ maxLength: 1 << 17 }),
          }),
        ),
      ),
    }),
  },
  answer: 'none',
})

export const reportProgress = defineRoute({
  method: 'POST',
  path: '/worker/progress',
  permission: 'worker',
  summary: 'Datums of the chunk done so far, or how often in a row code that stands ended',
  body: { json: Type.Object({ done: Count, failed: Count }) },
  answer: 'none',
})

export const finishWork = defineRoute({
  method: 'POST',
  path: '/worker/done',
  permission: 'worker',
  summary: 'The last act on a chunk',
  body: { json: Type.Object({ tree: WorkerTree, receipt: Type.String({ maxLength: 100 }) }) },
  answer: { json: Type.Object({ counts: Type.Boolean() }) },
})

export const giveBackWork = defineRoute({
  method: 'POST',
  path: '/worker/give-back',
  permission: 'worker',
  summary: 'Ready for others at once',
  answer: 'none',
})

export const WORKER_ROUTES = [
  claimWork,
  beatWork,
  listInput,
  readInput,
  readInputs,
  locateInput,
  checkRun,
  putOutput,
  putOutputs,
  copyOutput,
  dropOutput,
  finishOutput,
  abandonOutput,
  sendLines,
  reportProgress,
  finishWork,
  giveBackWork,
] as const

export type WorkerRoutes = { [R in (typeof WORKER_ROUTES)[number] as RouteKey<R>]: R }
