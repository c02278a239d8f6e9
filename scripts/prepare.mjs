// Runs before `npm start` and `npm test`, on whatever Node (≥ 20) the machine has: installs from the
// lockfile when that is needed, then builds the page when its sources changed. Plain JavaScript,
// because nothing is installed yet.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = join(root, 'node_modules', '.varve-lock')
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .update(process.platform + process.arch)
  .digest('hex')

function run(command, args, what) {
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (done.status === 0) return
  console.error(
    `cannot ${what}: ${command} ${args.join(' ')} ended with ${done.status ?? done.signal}`,
  )
  process.exit(1)
}

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  console.error('installing packages from package-lock.json (once, about half a minute) …')
  // Not `npm ci`: it refuses a lockfile in which binaries for other platforms are missing, and which of
  // them there are differs between registries. `--no-save` leaves the lockfile as it is.
  const quiet = ['--no-save', '--no-audit', '--no-fund', '--loglevel', 'error']
  run('npm', ['install', ...quiet], 'install packages')
  writeFileSync(stamp, lock)
}

const bin = join(root, 'node_modules', '.bin')
const node = existsSync(join(bin, 'node')) ? join(bin, 'node') : process.execPath
const launcher = join(bin, 'varve')
// `varve` for whoever puts node_modules/.bin on the PATH, and for `npx varve`, on the right Node.
const script = `#!/bin/sh\nexec "${node}" --max-semi-space-size=16 "${join(root, 'src', 'main', 'varve.mjs')}" "$@"\n`
if (!existsSync(launcher) || readFileSync(launcher, 'utf8') !== script)
  writeFileSync(launcher, script, { mode: 0o755 })
run(node, ['scripts/build-console.ts'], 'build the page')
