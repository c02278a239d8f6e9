// Options that are numbers.

import { InvalidArgumentError } from 'commander'

/** A whole number from 0. @throws InvalidArgumentError, which commander reports */
export function whole(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('It is a whole number from 0.')
}

/** A whole number from 1. @throws InvalidArgumentError */
export function count(text: string): number {
  const value = whole(text)
  if (value > 0) return value
  throw new InvalidArgumentError('It is a whole number from 1.')
}
