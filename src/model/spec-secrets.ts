// Secrets a pipeline's code is given, by reference only: the content stays in the cluster's own Secret
// and comes to the code as a file or a variable. It never passes through us.

import type { Fields } from './spec-fields.ts'
import { compact, pointerTo, refuseSpec } from './spec-fields.ts'
import { brief, checkVariable, isDnsSubdomain, mountTrouble } from './spec-word.ts'

export interface SecretUse {
  /** An existing Secret of the workspace's namespace. */
  readonly name: string
  /** One entry of it; absent: all of them, as files. */
  readonly key?: string
  /** Folder in which entries appear as files of their names. */
  readonly mountPath?: string
  readonly envVar?: string
}

const MAX_SECRETS = 32
const KEY = /^[-._A-Za-z0-9]{1,253}$/
// Secrets of ours hold the tokens of workers; Helm's hold whatever charts were given.
const KEPT_PREFIXES = ['varve-', 'sh.helm.']
const KEPT_VARIABLES = /^(?:VARVE_|PACH_|PPS_|(?:PFS_ROOT|PATH|HOME)$)/i

function secretNameTrouble(name: string): string | undefined {
  if (!isDnsSubdomain(name)) return `${brief(name)} is not the name of a Secret`
  const kept = KEPT_PREFIXES.find((prefix) => name.startsWith(prefix))
  return kept === undefined ? undefined : `Secrets under "${kept}" are kept for the system`
}

function parseSecret(fields: Fields): SecretUse {
  const name = fields.requiredString('name')
  const why = secretNameTrouble(name)
  if (why !== undefined) fields.refuse('name', why)
  const secret = compact<SecretUse>({
    name,
    key: fields.string('key') || undefined,
    mountPath: fields.string('mountPath') || undefined,
    envVar: fields.string('envVar') || undefined,
  })
  const { key, mountPath, envVar } = secret
  if (key !== undefined && (!KEY.test(key) || key === '.' || key.startsWith('..')))
    fields.refuse('key', `${brief(key)} is not the name of an entry`)
  if (mountPath === undefined && envVar === undefined)
    fields.missing('mountPath', 'say where it goes, by "mountPath" or "envVar"')
  if (mountPath !== undefined) {
    const trouble = mountTrouble(mountPath)
    if (trouble !== undefined) fields.refuse('mountPath', `${brief(mountPath)}: ${trouble}`)
  }
  if (envVar !== undefined) {
    checkVariable(fields.at('envVar'), 'envVar', envVar)
    if (key === undefined) fields.missing('key', 'a variable holds one entry')
    if (KEPT_VARIABLES.test(envVar))
      fields.refuse('envVar', `the variable "${envVar}" is kept for the system`)
  }
  fields.end()
  return secret
}

/** @throws VarveError INVALID_SPEC, also when two of them want one place */
export function parseSecrets(fields: Fields): readonly SecretUse[] | undefined {
  const each = fields.objects('secrets', 'a secret', MAX_SECRETS)
  if (each === undefined || each.length === 0) return undefined
  const secrets: SecretUse[] = []
  for (const one of each) {
    const secret = parseSecret(one)
    for (const other of secrets) {
      if (secret.envVar !== undefined && secret.envVar === other.envVar)
        one.refuse('envVar', `the variable "${secret.envVar}" is given twice`)
      const [a, b] = [secret.mountPath, other.mountPath]
      if (a === undefined || b === undefined) continue
      if (a.startsWith(`${b}/`) || b.startsWith(`${a}/`))
        one.refuse('mountPath', `"${a}" and "${b}" lie in one another`)
      if (a === b && overlap(secret, other))
        one.refuse('mountPath', `two secrets have the same files in "${a}"`)
    }
    secrets.push(secret)
  }
  return secrets
}

/** Whether both would put a file of one name into one folder, as far as can be known without looking. */
function overlap(a: SecretUse, b: SecretUse): boolean {
  return a.key === undefined || b.key === undefined || a.key === b.key
}

/** Names of Secrets with which images are fetched. @throws VarveError INVALID_SPEC */
export function parsePullSecrets(fields: Fields): readonly string[] | undefined {
  const names = fields.strings('imagePullSecrets')
  if (names === undefined || names.length === 0) return undefined
  const at = fields.at('imagePullSecrets')
  if (names.length > MAX_SECRETS)
    fields.refuse('imagePullSecrets', `at most ${MAX_SECRETS}, found ${names.length}`)
  for (const [i, name] of names.entries()) {
    const why = secretNameTrouble(name)
    if (why !== undefined)
      refuseSpec(pointerTo(at, i), `cannot use it in "imagePullSecrets": ${why}`)
  }
  return [...new Set(names)]
}
