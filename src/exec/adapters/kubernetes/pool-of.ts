// The pool whose workers do a pipeline's work.

import { VarveError } from '../../../base/errors.ts'
import type { PipelineSpec } from '../../../model/spec-pipeline.ts'
import { podDefaultsOf } from './settings.ts'
import type { PoolSettings } from './settings.ts'
import { shapeOf } from './shape.ts'

/**
 * Its name, a pure function; undefined: no pod can be made for it (KubernetesPools says why).
 * `digest` is the SHA-256 of a text, as 64 hex digits; the same wherever pools are named.
 */
export function poolOf(
  project: string,
  spec: PipelineSpec,
  settings: PoolSettings,
  digest: (text: string) => string,
): string | undefined {
  try {
    return shapeOf(project, spec, { digest, defaults: podDefaultsOf(settings) }).name
  } catch (error) {
    if (error instanceof VarveError) return undefined
    throw error
  }
}
