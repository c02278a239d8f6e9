import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The folder of the built page as the server takes it; nothing where it was not built. */
export function consoleFolder(): { readonly consoleFolder?: string } {
  const folder = resolve(import.meta.dirname, '../../dist/console')
  return existsSync(join(folder, 'index.html')) ? { consoleFolder: folder } : {}
}
