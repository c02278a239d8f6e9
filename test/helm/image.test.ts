// The root of the image holds the product and nothing that built it, and runs from there.
import { spawnSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IMAGE, buildRoot } from '../../scripts/image.ts'
import { VERSION } from '../../src/main/version.ts'
import { missingTools } from '../services/need.ts'

const BUILD_MS = 300_000
const missing = missingTools('busybox', 'chroot')
const root = mkdtempSync(join(tmpdir(), 'varve-image-test-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** With the environment of the image and no other. */
function inside(...command: readonly string[]): { status: number | null; said: string } {
  const user = `--userspec=${IMAGE.uid}:${IMAGE.uid}`
  const environment = Object.entries(IMAGE.env).map(([name, value]) => `${name}=${value}`)
  const whole = [user, root, '/usr/bin/env', '-i', ...environment, ...command]
  const { status, stdout, stderr } = spawnSync('chroot', whole, { encoding: 'utf8' })
  return { status, said: stdout + stderr }
}

// Only root may change the root.
describe.skipIf(missing.length > 0 || process.getuid?.() !== 0)('image', () => {
  beforeAll(() => buildRoot(root), BUILD_MS)

  test('its entry is the command line, run by Node 24 with the packages beside it', () => {
    expect(inside(...IMAGE.entrypoint, '--version')).toEqual({ status: 0, said: `${VERSION}\n` })
    expect(inside('/usr/local/bin/node', '--version').said).toMatch(/^v24\./)
  })

  test('a program of a role gets as far as its options', () => {
    const { status, said } = inside(...IMAGE.entrypoint, 'serve', '--roles', 'api')
    expect(said).toContain('cannot start without VARVE_TOKEN (or VARVE_TOKEN_FILE)')
    expect(status).toBe(2)
  })

  test('every package a server may load is there, also those with binaries', () => {
    const packages = ['cassandra-driver', '@aws-sdk/client-s3', '@napi-rs/blake-hash', 'fastify']
    const script = packages.map((name) => `require('${name}')`).join(';')
    const from = `process.chdir('/app'); module.paths.unshift('/app/node_modules'); ${script}`
    expect(inside('/usr/local/bin/node', '-e', from)).toEqual({ status: 0, said: '' })
  })

  test('nothing that builds or tests is in it, and nothing its user could change', () => {
    const app = readdirSync(join(root, 'app'), { recursive: true, encoding: 'utf8' })
    const packages = readdirSync(join(root, 'app/node_modules'))
    expect(app).toContain('dist/console/index.html')
    // An optional package, but not of an image that keeps pools.
    expect(app).toContain('node_modules/@kubernetes/client-node/package.json')
    expect(
      packages.filter((name) => /^(?:vite|vitest|typescript|oxlint|knip)$/.test(name)),
    ).toEqual([])
    expect(app.filter((file) => /^(?:test|src\/console)\//.test(file))).toEqual([])
    const loose = app.filter((file) => {
      const { mode, uid } = lstatSync(join(root, 'app', file))
      return uid === IMAGE.uid || (mode & 0o002) !== 0
    })
    expect(loose).toEqual([])
  })

  test('it has a shell for the code of a trial, and a static one to lend', () => {
    expect(inside('/bin/sh', '-c', 'printf "b\\na\\n" | sort | head -n 1')).toEqual({
      status: 0,
      said: 'a\n',
    })
  })
})
