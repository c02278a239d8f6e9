import { VarveError } from '../base/errors.ts'

// Names of projects, repos, branches, pipelines, spouts and egresses: Pachyderm's alphabet and length,
// so that every name people have works here.
const NAME = /^[a-zA-Z0-9_-]{1,51}$/

/** @throws VarveError INVALID_OPTION naming the `noun` */
export function parseName(noun: string, text: string): string {
  if (!NAME.test(text))
    throw new VarveError(
      'INVALID_OPTION',
      `cannot use "${text}" as the name of a ${noun}: letters, digits, "_" and "-" only, 1 to 51 of them`,
    )
  return text
}

export function isName(text: string): boolean {
  return NAME.test(text)
}

export const DEFAULT_PROJECT = 'default'
export const SYSTEM_PROJECT = '_system'
export const DEFAULT_BRANCH = 'master'
