// The words that become part of an object in a cluster: names, keys and values of labels, names of
// environment variables, paths in a container. The alphabets are those of Kubernetes, so that what is
// accepted here is not refused there; what is ours or the cluster's own is kept from users.

import { utf8 } from '../base/bytes.ts'
import type { Fields } from './spec-fields.ts'
import { pointerTo, refuseSpec } from './spec-fields.ts'

const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/
const WORD = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const MAX_SUBDOMAIN_CHARS = 253

/** A DNS label (RFC 1123): what most names in a cluster must be. */
export function isDnsLabel(text: string): boolean {
  return LABEL.test(text)
}

/** DNS labels joined with dots: the name of a Secret, of a priority class. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= MAX_SUBDOMAIN_CHARS && text.split('.').every(isDnsLabel)
}

/** `team`, `example.com/team`: the key of a label, annotation, taint or resource. */
export function isLabelKey(text: string): boolean {
  const [first = '', second, ...more] = text.split('/')
  if (second === undefined) return WORD.test(first)
  return more.length === 0 && isDnsSubdomain(first) && WORD.test(second)
}

export function isLabelValue(text: string): boolean {
  return text === '' || WORD.test(text)
}

/** The owner of a key's prefix when it is the cluster or we: nobody else may speak in their name. */
export function reservedPrefix(key: string): string | undefined {
  const slash = key.indexOf('/')
  if (slash < 0) return undefined
  const prefix = key.slice(0, slash).toLowerCase()
  return ['kubernetes.io', 'k8s.io', 'varve.dev'].find(
    (owner) => prefix === owner || prefix.endsWith(`.${owner}`),
  )
}

const MAX_VARIABLES = 1_000
const MAX_VARIABLE_NAME_CHARS = 256
const MAX_VALUE_BYTES = 100 * 1024
const VARIABLE = /^[-._A-Za-z][-._A-Za-z0-9]*$/

/** @throws VarveError INVALID_SPEC at `pointer` for what no process can be given as a variable's name */
export function checkVariable(pointer: string, field: string, name: string): void {
  if (name.length > MAX_VARIABLE_NAME_CHARS || !VARIABLE.test(name))
    refuseSpec(
      pointer,
      `cannot use ${brief(name)} in "${field}" as the name of a variable: letters, digits, "_", "." and "-" only, no digit first, at most ${MAX_VARIABLE_NAME_CHARS} characters`,
    )
}

/** Variables of the code, as given. @throws VarveError INVALID_SPEC */
export function parseVariables(
  fields: Fields,
  field: string,
): Readonly<Record<string, string>> | undefined {
  const map = fields.map(field)
  if (map === undefined) return undefined
  const entries = Object.entries(map)
  if (entries.length > MAX_VARIABLES)
    fields.refuse(field, `at most ${MAX_VARIABLES} variables, found ${entries.length}`)
  for (const [name, value] of entries) {
    const pointer = pointerTo(fields.at(field), name)
    checkVariable(pointer, field, name)
    const why = value.includes('\0')
      ? 'its value holds a NUL character'
      : utf8(value).length > MAX_VALUE_BYTES
        ? `its value is over ${MAX_VALUE_BYTES} bytes; put it into a file of the input`
        : undefined
    if (why !== undefined)
      refuseSpec(pointer, `cannot use the variable "${name}" in "${field}": ${why}`)
  }
  return map
}

const MAX_PATH_BYTES = 1024
/** Trees that are not the user's: nothing is mounted into or over them. */
const KEPT_TREES = ['/pfs', '/proc', '/sys', '/dev', '/varve', '/run/secrets', '/var/run/secrets']
/** Folders that hold the image: a mount right on them would hide it. */
const KEPT_FOLDERS = (
  '/bin /boot /etc /home /lib /lib32 /lib64 /opt /root /run /sbin /srv /tmp /usr /usr/bin ' +
  '/usr/lib /usr/local /usr/local/bin /usr/sbin /var /var/run'
).split(' ')

/** Why nothing can be mounted there, if so. */
export function mountTrouble(path: string): string | undefined {
  if (!path.startsWith('/')) return 'it must begin with "/"'
  if (path === '/') return 'it would hide the whole image'
  const trouble = pathTrouble(path)
  if (trouble !== undefined) return trouble
  if (path.endsWith('/')) return 'it must not end with "/"'
  if (path.includes(':')) return 'it must not hold a ":"'
  if (KEPT_FOLDERS.includes(path))
    return `it would hide "${path}" of the image; choose a folder in it`
  const tree = KEPT_TREES.find((kept) => path === kept || path.startsWith(`${kept}/`))
  if (tree !== undefined) return `"${tree}" is kept for the system`
  return undefined
}

/** Why it is no path that means the same everywhere, if so. */
export function pathTrouble(path: string): string | undefined {
  if (!path.isWellFormed()) return 'it is not valid Unicode'
  if (/\p{Cc}/u.test(path)) return 'it holds a control character'
  if (utf8(path).length > MAX_PATH_BYTES) return `it is over ${MAX_PATH_BYTES} bytes`
  const parts = path.replace(/^\//, '').replace(/\/$/, '').split('/')
  if (parts.includes('..')) return 'a part is ".."'
  if (path.startsWith('/') && path !== '/' && parts.some((part) => part === '' || part === '.'))
    return 'a part is empty or "."'
  return undefined
}

/** A value for a message, quoted and not longer than a line. */
export function brief(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
