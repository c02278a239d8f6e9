// The "restricted" pod security standard as Kubernetes publishes it (pod-security.kubernetes.io, v1.34),
// baseline included, and what we ask besides. Written after the standard's text, not after our pods.

type Plain = Readonly<Record<string, unknown>>

const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]
const SYSCTLS = ['kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range']

/** What of a pod's spec the standard forbids; empty when it is restricted. */
export function violations(pod: Plain): string[] {
  const found: string[] = []
  const own = plain(pod['securityContext'])
  const check = (good: boolean, what: string): void => void (good || found.push(what))
  for (const host of ['hostNetwork', 'hostPID', 'hostIPC'])
    check(pod[host] === undefined || pod[host] === false, host)
  check(own['windowsOptions'] === undefined, 'windowsOptions')
  for (const sysctl of list(own['sysctls']))
    check(SYSCTLS.includes(String(sysctl['name'])), `sysctl ${String(sysctl['name'])}`)
  for (const volume of list(pod['volumes'])) {
    const kinds = Object.keys(volume).filter((key) => key !== 'name')
    check(kinds.length === 1 && VOLUMES.includes(kinds[0] as string), `volume of ${kinds.join()}`)
  }
  const containers = ['containers', 'initContainers', 'ephemeralContainers'].flatMap((kind) =>
    list(pod[kind]),
  )
  check(containers.length > 0, 'no containers')
  for (const container of containers) {
    const name = String(container['name'])
    const context = plain(container['securityContext'])
    const either = (key: string): unknown => context[key] ?? own[key]
    check(context['privileged'] !== true, `${name}: privileged`)
    check(context['allowPrivilegeEscalation'] === false, `${name}: allowPrivilegeEscalation`)
    check(either('runAsNonRoot') === true, `${name}: runAsNonRoot`)
    check(either('runAsUser') !== 0, `${name}: runAsUser`)
    check(
      ['RuntimeDefault', 'Localhost'].includes(String(plain(either('seccompProfile'))['type'])),
      `${name}: seccompProfile`,
    )
    const { drop, add } = plain(context['capabilities']) as { drop?: string[]; add?: string[] }
    check(drop?.includes('ALL') === true, `${name}: capabilities.drop`)
    check(
      (add ?? []).every((each) => each === 'NET_BIND_SERVICE'),
      `${name}: capabilities.add`,
    )
    check(['Default', undefined].includes(context['procMount'] as undefined), `${name}: procMount`)
    check(either('seLinuxOptions') === undefined, `${name}: seLinuxOptions`)
    check(either('appArmorProfile') === undefined, `${name}: appArmorProfile`)
    for (const port of list(container['ports']))
      check(!port['hostPort'], `${name}: hostPort ${String(port['hostPort'])}`)
    for (const hook of ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'])
      check(!JSON.stringify(container[hook] ?? {}).includes('"host"'), `${name}: ${hook} host`)
  }
  return found
}

function plain(value: unknown): Plain {
  return (value ?? {}) as Plain
}

function list(value: unknown): readonly Plain[] {
  return (value ?? []) as readonly Plain[]
}
