// The program that enforces network policies on a node: without it a cluster takes them and does
// nothing. Built once by Go, apart from the components, as few tests need it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cachePath, cached } from '../cache.ts'
import { missingTools } from '../need.ts'
import { run } from '../process.ts'
import { SOURCE, digest, missingForCluster } from './programs.ts'

const SOURCES = ['go.mod', 'go.sum', 'main.go'].map((file) => `policies/${file}`)
const NAME = `kubernetes-policies-${digest(SOURCES)}`

/** What the machine lacks to run a cluster that enforces network policies. */
export function missingForPolicies(): readonly string[] {
  const missing = missingForCluster()
  return existsSync(cachePath(NAME)) ? missing : [...missing, ...missingTools('go')]
}

/** The program; fetches and builds what is missing. */
export async function policyProgram(): Promise<string> {
  const folder = await cached(
    NAME,
    'Building the network policy controller of kube-router with Go, usually 1 to 3 minutes, once',
    async (draft) => {
      const go = ['build', '-C', join(SOURCE, 'policies'), '-trimpath', '-buildvcs=false']
      const flags = ['-mod=readonly', '-ldflags', '-s -w', '-o', join(draft, 'policies'), '.']
      await run('go', [...go, ...flags], { ...process.env, CGO_ENABLED: '0' })
    },
  )
  return join(folder, 'policies')
}
