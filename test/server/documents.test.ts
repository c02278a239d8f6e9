import { expect, test } from 'vitest'
import fc from 'fast-check'
import { VarveError } from '../../src/base/errors.ts'
import { parsePipelineDocument } from '../../src/model/spec-pipeline.ts'
import { parseEgressDocument, parseSpoutDocument } from '../../src/model/spec-stream.ts'
import { readDocuments } from '../../src/server/documents.ts'

const EDGES = `{
  "pipeline": { "name": "edges" },
  "description": "A pipeline that performs image edge detection",
  "input": { "pfs": { "glob": "*", "repo": "images", "empty_files": true } },
  "transform": {
    "cmd": ["python3", "/edges.py"],
    "image": "pachyderm/opencv:1.0",
    "accept_return_code": [3]
  },
  "datum_timeout": "4m",
  "datum_set_spec": { "number": "7" }
}
`

function failure(text: string): VarveError {
  try {
    for (const document of readDocuments(text))
      document.parse((value) =>
        document.kind === 'pipeline'
          ? parsePipelineDocument(value)
          : document.kind === 'spout'
            ? parseSpoutDocument(value)
            : parseEgressDocument(value),
      )
  } catch (error) {
    if (error instanceof VarveError) return error
    throw error
  }
  throw new Error('it was accepted')
}

test('a Pachyderm spec is read as it is written, and its normal form is a fixed point', () => {
  const [document] = readDocuments(EDGES)
  const spec = document?.parse(parsePipelineDocument)
  expect(spec).toEqual({
    pipeline: { name: 'edges' },
    description: 'A pipeline that performs image edge detection',
    input: {
      pfs: { repo: 'images', branch: 'master', name: 'images', glob: '/*', emptyFiles: true },
    },
    transform: {
      cmd: ['python3', '/edges.py'],
      image: 'pachyderm/opencv:1.0',
      acceptReturnCode: [3],
    },
    datumTimeout: '4m',
    datumTries: 3,
    datumSetSpec: { number: 7 },
    maxFailedDatums: 0,
    backlog: 'every',
    outputBranch: 'master',
  })
  expect(parsePipelineDocument(structuredClone(spec))).toEqual(spec)
})

test('one document or many, YAML, arrays, and objects one after another give the same', () => {
  const yaml = `# a pipeline and its feed
pipeline: {name: edges}
input: {pfs: {repo: images, glob: /*}}
transform: {cmd: [sh]}
---
spout: {name: feed}
source: {file: {path: a.ndjson}}
target: images@master
commit: {records: 10, age: 2s}
`
  expect(readDocuments(yaml).map((each) => each.kind)).toEqual(['pipeline', 'spout'])
  const spout = readDocuments(yaml)[1]?.parse(parseSpoutDocument)
  expect(spout).toMatchObject({ name: 'feed', target: { repo: 'images' }, commit: { ageMs: 2000 } })
  for (const text of [
    EDGES + EDGES,
    `[${EDGES},${EDGES}]`,
    `${EDGES}---\n${EDGES}`.replace('---', ''),
  ])
    expect(readDocuments(text).map((each) => each.parse(parsePipelineDocument))).toHaveLength(2)
})

test('a refusal has line, column, field and what was meant', () => {
  const typo = failure(EDGES.replace('"datum_timeout"', '"datum_timeuot"'))
  expect(typo.message).toContain('did you mean "datum_timeout"?')
  expect(typo.details).toMatchObject({
    line: 10,
    column: 3,
    field: 'datum_timeuot',
    nearest: 'datum_timeout',
  })
  const inSecond = failure(`${EDGES}\n${EDGES.replace('"glob"', '"golb"')}`)
  expect(inSecond.details).toMatchObject({ line: 17, nearest: 'glob' })
  expect(failure(`[${EDGES}, ${EDGES.replace('"cmd"', '"cmdd"')}]`).details).toMatchObject({
    line: 18,
    nearest: 'cmd',
  })
  const yaml = 'pipeline:\n  name: a b\ntransform: {cmd: [x]}\ninput: {pfs: {repo: a, glob: /}}\n'
  expect(failure(yaml).details).toMatchObject({ line: 2, column: 3, field: 'pipeline.name' })
  expect(failure('pipelin: {}\n').details).toMatchObject({ line: 1, nearest: 'pipeline' })
  expect(failure('{"pipeline": ').details).toMatchObject({ line: 1 })
  expect(failure(EDGES.replace('"4m"', '"4 minutes"')).message).toContain('"30s"')
})

test.each([
  ['"input": { "cross": [] }', /"cross".*not supported yet/],
  ['"input": { "pfs": { "repo": "a", "glob": "/", "lazy": true } }', /"lazy".*not supported yet/],
  ['"tf_job": {}', /"tf_job".*not supported yet/],
  ['"egress": { "URL": "s3://b" }', /"URL".*not supported yet/],
  ['"sidecar_resource_limits": {}', /"sidecar_resource_limits".*not supported yet/],
])('what is known but not built is refused by name: %s', (field, message) => {
  const base = JSON.parse(EDGES) as Record<string, unknown>
  const spec = { ...base, ...(JSON.parse(`{${field}}`) as Record<string, unknown>) }
  expect(failure(JSON.stringify(spec)).message).toMatch(message)
})

test('any text is read or refused, never anything else', () => {
  const part = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    ':',
    ',',
    '\n',
    '- ',
    'pipeline',
    'a',
    '&a ',
    '*a',
    '---\n',
    '\\',
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      try {
        failure(parts.join(''))
      } catch (error) {
        expect((error as Error).message).toBe('it was accepted')
      }
    }),
    { numRuns: 500 },
  )
})
