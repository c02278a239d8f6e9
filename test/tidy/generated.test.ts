// Pages made from tables in the code say what the tables say.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { errorsPage, openapiSchema, streamsPage } from '../../scripts/generate.ts'
import { optionsPage } from '../../src/config/help.ts'

const text = (file: string): string =>
  readFileSync(resolve(import.meta.dirname, '../..', file), 'utf8')

test.each([
  ['docs/errors.md', errorsPage],
  ['docs/options.md', optionsPage],
  ['schemas/openapi.json', openapiSchema],
  ['docs/streams.md', () => streamsPage(text('docs/streams.md'))],
])('tidy: %s is what the table gives', (file, page) => {
  expect(text(file)).toBe(page())
})
