// What we believe stays checked in production: a false belief ends the unit of work loudly
// instead of writing something wrong. For what a user or the world can cause, throw a VarveError.

/** Thrown when the program contradicts itself. Never caught to go on. */
export class AssertionError extends Error {
  override name = 'AssertionError'
}

export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionError(typeof message === 'string' ? message : message())
}

/** For a `switch` over a closed set: the type says no other case exists, this says it at run time. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`)
}

/** The value, which the caller knows to be there. */
export function must<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionError(`missing: ${what}`)
  return value
}
