// Pages made from tables in the code say what the tables say.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { errorsPage } from '../../scripts/generate.ts'
import { optionsPage } from '../../src/config/help.ts'

test.each([
  ['docs/errors.md', errorsPage],
  ['docs/options.md', optionsPage],
])('tidy: %s is what the table gives', (file, page) => {
  expect(readFileSync(resolve(import.meta.dirname, '../..', file), 'utf8')).toBe(page())
})
