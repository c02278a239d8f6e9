// problem+json answers become the errors of the table again.

import type { ErrorCode } from '../base/errors.ts'
import { ERRORS, VarveError } from '../base/errors.ts'
import type { Problem } from '../api/shapes.ts'

/** What a refused answer means; total, also for answers that are none of ours. */
export async function problemOf(response: Response): Promise<VarveError> {
  const text = await response.text().catch(() => '')
  try {
    return fromProblem(JSON.parse(text) as Problem)
  } catch {
    const code: ErrorCode =
      response.status === 401
        ? 'UNAUTHENTICATED'
        : response.status < 500
          ? 'INTERNAL'
          : 'UNAVAILABLE'
    return new VarveError(
      code,
      `cannot use the answer of "${response.url}": it is ${response.status}, not one of Varve`,
    )
  }
}

export function fromProblem(problem: Problem): VarveError {
  const code = Object.hasOwn(ERRORS, problem.code) ? (problem.code as ErrorCode) : 'INTERNAL'
  const details = problem.details as Record<string, unknown> | undefined
  return new VarveError(code, problem.detail, details === undefined ? {} : { details })
}

export function unreachableServer(baseUrl: string, cause: unknown): VarveError {
  const inner = (cause as { cause?: { code?: string; message?: string } }).cause
  const why = inner?.code ?? inner?.message ?? (cause as Error).message
  return new VarveError('UNAVAILABLE', `cannot reach the server at "${baseUrl}": ${why}`, { cause })
}
