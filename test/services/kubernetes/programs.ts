// What a node is made of: packages of Debian, and the Kubernetes components, built once by Go as one
// program (`hyperkube`) with a name server (`dns`) and the process that holds a pod (`pause`).

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cachePath, cached } from '../cache.ts'
import { missingTools } from '../need.ts'
import { run } from '../process.ts'

export const SOURCE = join(import.meta.dirname, 'source')
const SOURCES = ['go.mod', 'go.sum', 'main.go', 'dns/main.go', 'pause/main.go']

const VERSION = /^\s*k8s\.io\/kubernetes (\S+)/m.exec(source('go.mod'))?.[1] ?? 'unknown'
const NAME = `kubernetes-${VERSION}-${digest(SOURCES)}`

/** A file of each package, by which one sees whether it is there. */
const PACKAGES = {
  '/usr/bin/containerd': 'containerd',
  '/usr/sbin/runc': 'runc',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  '/usr/sbin/iptables': 'iptables',
  '/usr/sbin/ipset': 'ipset',
  '/usr/bin/busybox': 'busybox-static',
}

/** What the machine lacks to run a cluster: tools, packages that nothing can fetch, rights. */
export function missingForCluster(): readonly string[] {
  const tools = ['ip', 'unshare', 'nsenter', 'openssl', 'curl', 'tar']
  if (!existsSync(cachePath(NAME))) tools.push('go')
  if (missingPackages().length > 0) tools.push('apt-get')
  // These two are no tools. Nothing on the PATH has such a name, so they are reported as they are.
  if (process.getuid?.() !== 0) tools.push('the rights of root')
  if (!/ cgroup .*\bmemory\b/.test(mounts())) tools.push('cgroup v1')
  return missingTools(...tools)
}

/** The folder with hyperkube, dns and pause; fetches and builds what is missing. */
export async function nodePrograms(): Promise<string> {
  const packages = missingPackages()
  if (packages.length > 0) {
    console.log(`Installing ${packages.join(', ')} with apt-get, usually 20 to 60 s`)
    const wait = ['-o', 'DPkg::Lock::Timeout=300']
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await run('apt-get', [...wait, 'update', '-qq'], env)
    const install = ['install', '-y', '-qq', '--no-install-recommends']
    await run('apt-get', [...wait, ...install, ...packages], env)
  }
  return cached(
    NAME,
    `Building Kubernetes ${VERSION} with Go, usually 6 to 15 minutes on two cores and 4 GB of disk, once`,
    build,
  )
}

async function build(draft: string): Promise<void> {
  const set = (name: string, value: string): string =>
    `-X k8s.io/component-base/version.${name}=${value}`
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(VERSION) ?? []
  const version = [
    set('gitVersion', VERSION),
    set('gitMajor', major),
    set('gitMinor', minor),
    set('gitTreeState', 'clean'),
  ]
  const go = ['build', '-C', SOURCE, '-trimpath', '-buildvcs=false', '-mod=readonly']
  const env = { ...process.env, CGO_ENABLED: '0' }
  const flags = ['-ldflags', ['-s -w', ...version].join(' ')]
  await run('go', [...go, ...flags, '-o', join(draft, 'hyperkube'), '.'], env)
  const small = ['-ldflags', '-s -w', '-o', `${draft}/`, './dns', './pause']
  await run('go', [...go, ...small], env)
}

function missingPackages(): string[] {
  return Object.entries(PACKAGES)
    .filter(([file]) => !existsSync(file))
    .map(([, name]) => name)
}

function mounts(): string {
  return existsSync('/proc/self/mounts') ? readFileSync('/proc/self/mounts', 'utf8') : ''
}

function source(file: string): string {
  return readFileSync(join(SOURCE, file), 'utf8')
}

/** Of the sources: another version is built beside this one. */
export function digest(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) hash.update(source(file))
  return hash.digest('hex').slice(0, 12)
}
