// Pages made from tables in the code say what the tables say.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { expectedFiles, schemaFiles, undeclared } from '../../scripts/cassandra-schema.ts'
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

test('tidy: schemas/cassandra has all of the declared tables, a file for each version', () => {
  expect(schemaFiles()).toEqual(expectedFiles())
  expect(
    undeclared(),
    'raise SCHEMA.version in src/tables/adapters/cassandra/schema-version.ts and run `npm run generate`',
  ).toEqual([])
})
