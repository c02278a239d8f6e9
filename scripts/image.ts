// The file system of the Varve image, made of what lies on this machine: no container engine, no registry.
//
//   node scripts/image.ts app FOLDER    what is ours: /app with the packages it needs, the launcher
//   node scripts/image.ts root FOLDER   all of it: ours, Node, its libraries, a shell, certificates
//
// The Containerfile takes `app` and lays it on a Debian; tests make an image of `root`. Both run the same
// files in the same places. No packages of development are in them, and no sources of the page: it is built.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { buildConsole } from './build-console.ts'

const ROOT = resolve(import.meta.dirname, '..')

/** How a container of the image runs; the arguments are the command: `serve --roles api`, `work`, `doctor`. */
export const IMAGE = {
  entrypoint: ['/usr/local/bin/node', '/app/src/main/varve.mjs'],
  env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/tmp', NODE_ENV: 'production' },
  /** Also the group. Nothing in the image belongs to it: it can change none of it. */
  uid: 10_001,
  cwd: '/data',
} as const

/** @throws Error when something on this machine is missing, saying what to install */
export async function buildRoot(folder: string): Promise<void> {
  await buildApp(folder)
  addSystem(folder)
  // A temporary folder is its maker's alone, and the mode of the folder is that of the root.
  chmodSync(folder, 0o755)
}

/** /app and the launcher, into a folder that may have other things. */
export async function buildApp(folder: string): Promise<void> {
  await buildConsole()
  const app = join(folder, 'app')
  rmSync(app, { recursive: true, force: true })
  mkdirSync(app, { recursive: true })
  for (const name of ['package.json', 'src', 'connectors', 'schemas', 'dist/console'])
    copy(join(ROOT, name), join(app, name), (path) => path !== join(ROOT, 'src/console'))
  for (const path of productionPackages()) copyPackage(path, app)
  write(join(folder, 'usr/local/bin/varve'), `#!/bin/sh\nexec ${IMAGE.entrypoint.join(' ')} "$@"\n`)
  chmodSync(join(folder, 'usr/local/bin/varve'), 0o755)
}

interface Locked {
  readonly dev?: boolean
  readonly optional?: boolean
}

/** Folders of packages that the product needs, as the lockfile has them: `node_modules/a/node_modules/b`. */
function productionPackages(): string[] {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>
  }
  return Object.entries(lock.packages).flatMap(([path, { dev, optional }]) => {
    // Node itself lies elsewhere in an image.
    if (path === '' || dev || /^node_modules\/node-(?:linux|darwin|win)-/.test(path)) return []
    if (existsSync(join(ROOT, path))) return [path]
    // Of the packages with binaries only that of this platform is there.
    if (optional) return []
    throw new Error(`cannot find ${path}: run npm install`)
  })
}

/** Without types and source maps, which nothing reads at run time, and without packages inside: they are listed. */
function copyPackage(path: string, app: string): void {
  const from = join(ROOT, path)
  const inside = join(from, 'node_modules')
  copy(from, join(app, path), (file) => file !== inside && !/\.(?:d\.[cm]?ts|map)$/.test(file))
}

function addSystem(folder: string): void {
  const node = realpathSync(process.execPath)
  const own = readdirSync(join(folder, 'app/node_modules'), { recursive: true, encoding: 'utf8' })
  const addons = own.filter((file) => file.endsWith('.node'))
  copy(node, join(folder, 'usr/local/bin/node'))
  const binaries = [node, ...addons.map((file) => join(folder, 'app/node_modules', file))]
  for (const library of new Set(binaries.flatMap(librariesOf)))
    copy(realpathSync(library), join(folder, library))
  addShell(folder)
  const { uid } = IMAGE
  write(
    join(folder, 'etc/passwd'),
    `root:x:0:0:root:/root:/bin/sh\nvarve:x:${uid}:${uid}::/tmp:/bin/sh\n`,
  )
  write(join(folder, 'etc/group'), `root:x:0:\nvarve:x:${uid}:\n`)
  write(join(folder, 'etc/nsswitch.conf'), 'hosts: files dns\n')
  const certificates = '/etc/ssl/certs/ca-certificates.crt'
  // Node brings its own; this is for what pipelines run.
  if (existsSync(certificates)) copy(certificates, join(folder, certificates))
  for (const name of ['dev', 'proc', 'sys', 'tmp', 'data']) mkdirSync(join(folder, name))
  for (const name of ['tmp', 'data']) chmodSync(join(folder, name), 0o1777)
}

/** A static shell with the small tools, which can also be copied into the containers of others. */
function addShell(folder: string): void {
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((file) => existsSync(file))
  if (busybox === undefined) throw new Error('cannot find busybox: apt-get install busybox-static')
  if (librariesOf(busybox).length > 0)
    throw new Error(`cannot use ${busybox}, it is not static: apt-get install busybox-static`)
  copy(busybox, join(folder, 'bin/busybox'))
  for (const tool of execFileSync(busybox, ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (tool !== 'busybox') symlinkSync('busybox', join(folder, 'bin', tool))
  mkdirSync(join(folder, 'usr/bin'), { recursive: true })
  symlinkSync('/bin/busybox', join(folder, 'usr/bin/env'))
}

/** Shared libraries a program is linked to, the loader among them; none of a static one. */
function librariesOf(binary: string): string[] {
  try {
    const lines = execFileSync('ldd', [binary], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return [...lines.matchAll(/(?:^|\s)(\/\S+) \(0x/gm)].map(([, file]) => file as string)
  } catch {
    return []
  }
}

function copy(from: string, to: string, wanted: (path: string) => boolean = () => true): void {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { recursive: true, dereference: true, filter: (path) => wanted(path) })
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

if (import.meta.main) {
  const [what, folder] = process.argv.slice(2)
  if (folder === undefined || (what !== 'app' && what !== 'root'))
    throw new Error(`usage: ${basename(import.meta.filename)} app|root FOLDER`)
  await (what === 'app' ? buildApp : buildRoot)(resolve(folder))
}
