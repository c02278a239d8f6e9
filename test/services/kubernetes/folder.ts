// The scratch folder of one cluster: certificates, kubeconfigs, the configuration of its components.
// The folder is all that another process needs to know of a running cluster.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../process.ts'

const HERE = import.meta.dirname

/** Where a cluster's sockets lie must fit into the address of a Unix socket (108 bytes) with more. */
const LONGEST_PATH = 80

/** @param n the number of the cluster, of which its addresses are made */
export async function writeClusterFolder(folder: string, n: number): Promise<void> {
  if (folder.length > LONGEST_PATH)
    throw new Error(
      `${folder} is too long to hold the sockets of a cluster (${LONGEST_PATH} characters): set TMPDIR to a shorter folder`,
    )
  const pki = join(folder, 'pki')
  await run(join(HERE, 'certificates'), [pki, String(n)])
  const node = `10.250.${n}.2`
  const values = { FOLDER: folder, NAME: `varve-${n}`, NODE: node, PODS: `10.244.${n}.0/24` }
  const fill = (template: string, more: Record<string, string> = {}): string =>
    Object.entries({ ...values, ...more }).reduce(
      (text, [name, value]) => text.replaceAll(`{${name}}`, value),
      readFileSync(join(HERE, 'config', template), 'utf8'),
    )
  const base64 = (file: string): string => readFileSync(join(pki, file)).toString('base64')
  const kubeconfig = (user: string): string =>
    fill('kubeconfig.yaml', {
      USER: user,
      CA: base64('ca.crt'),
      CERTIFICATE: base64(`${user}.crt`),
      KEY: base64(`${user}.key`),
    })
  const write = (file: string, text: string): void =>
    writeFileSync(join(folder, file), text, { mode: 0o600 })
  write('kubeconfig', kubeconfig('admin'))
  write('pki/kubelet.kubeconfig', kubeconfig('kubelet'))
  for (const file of ['containerd.toml', 'kubelet.yaml', 'proxy.yaml']) write(file, fill(file))
  mkdirSync(join(folder, 'cni'))
  write('cni/10-bridge.conflist', fill('bridge.json'))
  // Pods are given this file too, and they are not all root.
  writeFileSync(join(folder, 'resolv.conf'), `nameserver ${node}\n`)
  write('host', `10.250.${n}.1`)
  write('node', node)
}
