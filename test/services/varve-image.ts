// The Varve image as tests have it: what the harness of Kubernetes makes an image of.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { IMAGE, buildRoot } from '../../scripts/image.ts'
import type { ImageContent } from './kubernetes/image.ts'
import type { KubernetesServer } from './kubernetes.ts'

/**
 * Makes it of this checkout, which takes some seconds, and gives it to the cluster's node under `name`.
 * @param more files and variables besides
 */
export async function addVarveImage(
  cluster: KubernetesServer,
  name: string,
  more: Pick<ImageContent, 'copies' | 'env'> = {},
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'varve-root-'))
  try {
    await buildRoot(root)
    const { entrypoint, env, uid, cwd } = IMAGE
    const image = { root, entrypoint, user: `${uid}:${uid}`, cwd, ...more }
    await cluster.image(name, { ...image, env: { ...env, ...more.env } })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
