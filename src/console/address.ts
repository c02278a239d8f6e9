// What the reader looks at is in the address: a link shows a colleague exactly the same, and the
// browser's back button works.

import { DEFAULT_PROJECT } from '../model/name.ts'

export interface Address {
  readonly project: string
  /** Key of the node whose drawer is open. */
  readonly node: string | null
  readonly find: string
  readonly help: boolean
}

export function parseAddress(search: string): Address {
  const query = new URLSearchParams(search)
  return {
    project: query.get('project') ?? DEFAULT_PROJECT,
    node: query.get('node'),
    find: query.get('find') ?? '',
    help: query.has('help'),
  }
}

/** The query with `?`, or the empty string for the bare page; `:` stays readable. */
export function formatAddress(address: Address): string {
  const parts: string[] = []
  const add = (name: string, value: string): void => {
    parts.push(`${name}=${encodeURIComponent(value).replaceAll('%3A', ':')}`)
  }
  if (address.project !== DEFAULT_PROJECT) add('project', address.project)
  if (address.node !== null) add('node', address.node)
  if (address.find !== '') add('find', address.find)
  if (address.help) parts.push('help')
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}
