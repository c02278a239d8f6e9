import { isVarveError, toVarveError } from '../base/errors.ts'

/** How a stretch of reading ended, and what comes next. */
export type End =
  | { readonly next: 'again'; readonly waitMs?: number; readonly cause?: string }
  | { readonly next: 'back-off'; readonly cause: string }
  | { readonly next: 'pause'; readonly cause: string }
  | { readonly next: 'done'; readonly cause: string | null }

/** What is wrong by its words waits for a person; everything else is tried again. */
export function endOf(error: unknown): End {
  const known = toVarveError(error)
  const wrong = isVarveError(error) && !known.spec.retry && known.code.startsWith('INVALID_')
  return { next: wrong ? 'pause' : 'back-off', cause: known.message }
}
