// How a cluster is, told by its folder.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import https from 'node:https'
import { join } from 'node:path'

const ANSWER_MS = 5_000
const LOG_BYTES = 4_000

/**
 * Whether pods can run now. The kubelet is asked first: what the API server says of the node may be from
 * before a restart.
 */
export async function isReady(folder: string): Promise<boolean> {
  if ((await get(folder, 10250, '/healthz')) === undefined) return false
  const account = '/api/v1/namespaces/default/serviceaccounts/default'
  if ((await get(folder, 6443, account)) === undefined) return false
  const node = await get(folder, 6443, '/api/v1/nodes/node')
  if (node === undefined) return false
  const { status } = JSON.parse(node) as {
    status: { conditions?: readonly { type: string; status: string }[] }
  }
  return status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true
}

function get(folder: string, port: number, path: string): Promise<string | undefined> {
  const pki = (file: string): Buffer => readFileSync(join(folder, 'pki', file))
  const host = readFileSync(join(folder, 'node'), 'utf8')
  // The kubelet signs its certificate itself.
  const tls = { cert: pki('admin.crt'), key: pki('admin.key'), rejectUnauthorized: false }
  return new Promise((resolve) => {
    const asked = https.get({ host, port, path, timeout: ANSWER_MS, ...tls }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => (text += chunk))
      answer.on('error', () => resolve(undefined))
      answer.on('end', () => resolve(answer.statusCode === 200 ? text : undefined))
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(undefined))
    asked.on('close', () => resolve(undefined))
  })
}

/** A line for each time that a component ended. */
export function ended(folder: string): readonly string[] {
  const file = join(folder, 'ended')
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []
}

/** The end of each component's log. */
export function logOf(folder: string): string {
  const logs = join(folder, 'logs')
  const names = existsSync(logs) ? readdirSync(logs) : []
  const end = (name: string): string =>
    `== ${name}\n${readFileSync(join(logs, name), 'utf8').slice(-LOG_BYTES)}`
  return [...names.map(end), ...ended(folder)].join('\n')
}
