// The error table, the code that throws from it and the page that explains it say the same.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { errorsPage } from '../../scripts/generate.ts'

const ROOT = resolve(import.meta.dirname, '../..')

test('tidy: docs/errors.md is what the table gives', () => {
  expect(readFileSync(resolve(ROOT, 'docs/errors.md'), 'utf8')).toBe(errorsPage())
})
