// The product where the native BLAKE3 is not installed: it runs, says so, and reads what was written
// with it.

import { rmSync } from 'node:fs'
import { afterAll, afterEach, expect, test } from 'vitest'
import { cli, Product } from './product.ts'

const hook =
  `import { registerHooks } from 'node:module';` +
  `registerHooks({ resolve(specifier, context, next) {` +
  ` if (specifier === '@napi-rs/blake-hash') throw new Error('no binary for this system');` +
  ` return next(specifier, context) } })`
const WITHOUT = `--import=data:text/javascript,${encodeURIComponent(hook)}`

const given = process.env['NODE_OPTIONS']
const restore = (): void => {
  if (given === undefined) delete process.env['NODE_OPTIONS']
  else process.env['NODE_OPTIONS'] = given
}
afterEach(restore)

const product = new Product()
afterAll(async () => {
  await product.kill()
  rmSync(product.data, { recursive: true, force: true })
})

test('a server without the addon says so once and stores the same content under the same ids', async () => {
  const put = (name: string): Promise<string> =>
    product.varve(
      ['file', 'put', `r@master:/${name}`, '-f', '-'],
      'the same content\n'.repeat(5000),
    )
  await product.start()
  await product.varve(['repo', 'create', 'r'])
  await put('native')
  expect(product.output).not.toContain('WebAssembly')
  await product.kill()

  process.env['NODE_OPTIONS'] = WITHOUT
  await product.start()
  restore()
  await put('wasm')
  expect(product.output.split('BLAKE3 is WebAssembly here').length - 1).toBe(1)
  const digestOf = async (name: string): Promise<string> => {
    const shown = await product.varve(['file', 'ls', `r@master:/${name}`, '-o', 'json'])
    const [, digest] = /"digest": ?"([0-9a-f]{64})"/.exec(shown) ?? []
    if (digest === undefined) throw new Error(`no digest in ${shown}`)
    return digest
  }
  expect(await digestOf('wasm')).toBe(await digestOf('native'))
  expect(await product.varve(['file', 'get', 'r@master:/native'])).toContain('the same content')
})

test('the doctor of a server says which one it would run with', async () => {
  const env = {
    VARVE_KAFKA: '127.0.0.1:1',
    VARVE_CASSANDRA: '127.0.0.1:1',
    VARVE_S3_BUCKET: 'b',
    VARVE_S3_ENDPOINT: 'http://127.0.0.1:1',
    VARVE_TOKEN: 't'.repeat(64),
    VARVE_CLUSTER_SECRET: 's'.repeat(64),
  }
  const doctor = async (nodeOptions: string): Promise<string> => {
    const ran = await cli(['doctor', '--server'], { env: { ...env, NODE_OPTIONS: nodeOptions } })
    return ran.stdout.split('\n').slice(0, 3).join('\n')
  }
  const [native, wasm] = await Promise.all([doctor(''), doctor(WITHOUT)])
  expect(native).toMatch(/✓ ok +BLAKE3.* the native addon/)
  expect(wasm).toMatch(/! warning +BLAKE3/)
  expect(wasm).toContain('WebAssembly')
})
