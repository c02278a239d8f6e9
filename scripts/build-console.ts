// Builds the page to dist/console when what it is made of changed since the last build; otherwise
// says nothing and costs a few milliseconds. `--force` builds anyway.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '..')
const TARGET = join(ROOT, 'dist/console')
const STAMP = join(TARGET, '.stamp')
/** The page and the rooms it may import (console may import client and api, everyone base and model). */
const SOURCES = ['src/console', 'src/client', 'src/api', 'src/base', 'src/model']

export function hashOfSources(root: string = ROOT): string {
  const hash = createHash('sha256')
  const files = SOURCES.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  )
  for (const file of [...files.sort(), 'package-lock.json'])
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0')
  return hash.digest('hex')
}

/** @returns whether it had to build */
export async function buildConsole(force = false): Promise<boolean> {
  const hash = hashOfSources()
  if (!force && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === hash) return false
  const startedAt = performance.now()
  // Built aside and moved into place, so that a server beside us never serves half a page.
  const aside = `${TARGET}.${process.pid}`
  const { build } = await import('vite')
  // A test runner says NODE_ENV=test, and React would come in its development build.
  const environment = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  try {
    await build({
      configFile: join(ROOT, 'src/console/vite.config.ts'),
      mode: 'production',
      build: { outDir: aside, emptyOutDir: true },
    })
  } finally {
    if (environment === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = environment
  }
  writeFileSync(join(aside, '.stamp'), hash)
  rmSync(TARGET, { recursive: true, force: true })
  renameSync(aside, TARGET)
  console.error(`built the page in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  return true
}

if (import.meta.main) await buildConsole(process.argv.includes('--force'))
