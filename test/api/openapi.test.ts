import { Ajv } from 'ajv'
import { expect, test } from 'vitest'
import { openapi } from '../../src/api/openapi.ts'
import { fullPath, paramNames } from '../../src/api/route.ts'
import type { Route } from '../../src/api/route.ts'
import { ROUTES } from '../../src/api/routes.ts'

const routes = ROUTES as readonly Route[]

interface Operation {
  readonly operationId: string
  readonly parameters: { readonly name: string; readonly in: string }[]
  readonly 'x-permission': string
}
const document = openapi('0.0.0') as {
  paths: Record<string, Record<string, Operation>>
}
const operations = Object.values(document.paths).flatMap((path) => Object.values(path))

test('every route is printed once, under an id of its own, with its permission', () => {
  expect(operations).toHaveLength(routes.length)
  expect(new Set(operations.map((one) => one.operationId)).size).toBe(routes.length)
  for (const route of routes) {
    const path = fullPath(route).replaceAll(/:([a-z]+)/g, '{$1}')
    const printed = document.paths[path]?.[route.method.toLowerCase()]
    expect([path, printed?.['x-permission']]).toEqual([path, route.permission])
  }
})

test('every parameter of a path is declared', () => {
  for (const [path, methods] of Object.entries(document.paths))
    for (const one of Object.values(methods)) {
      const declared = one.parameters.filter(({ in: where }) => where === 'path')
      const named = paramNames(path.replaceAll(/\{(\w+)\}/g, ':$1'))
      expect(declared.map(({ name }) => name)).toEqual(named)
    }
})

test('every schema is a valid JSON Schema', () => {
  const ajv = new Ajv({ strict: false })
  for (const { query, body, answer } of routes) {
    const schemas: object[] = []
    if (query) schemas.push(query)
    if (typeof body === 'object') schemas.push(body.json)
    if (typeof answer === 'object') schemas.push(...Object.values(answer as object))
    for (const schema of schemas) expect(() => ajv.compile(schema)).not.toThrow()
  }
})
