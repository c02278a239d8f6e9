// The Varve image as tests have it: what the harness of Kubernetes makes an image of.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IMAGE, buildRoot } from '../../scripts/image.ts'
import type { KubernetesServer } from './kubernetes.ts'

/** Makes it of this checkout, which takes some seconds, and gives it to the cluster's node under `name`. */
export async function addVarveImage(cluster: KubernetesServer, name: string): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'varve-root-'))
  try {
    await buildRoot(root)
    const { entrypoint, env, uid, cwd } = IMAGE
    await cluster.image(name, { root, entrypoint, env, user: `${uid}:${uid}`, cwd })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
