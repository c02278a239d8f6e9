// A real Cassandra of one or three nodes for tests, from the jars of Maven Central, in a scratch
// folder, on loopback unless told otherwise. VARVE_TEST_CASSANDRA=host:port uses yours instead, where no
// special kind is asked for; then nothing is started or stopped.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { missingTools } from './need.ts'
import { ServerProcess, freePort, run } from './process.ts'

const HERE = join(import.meta.dirname, 'cassandra')
const READY_MS = 180_000

export interface CassandraServerOptions {
  readonly nodes?: 1 | 3
  /** Log in as cassandra/cassandra. */
  readonly password?: boolean
  /** How long a conditional write may fight before the server calls its outcome unknown. */
  readonly casTimeoutMs?: number
  readonly paxos?: 'v1' | 'v2'
  /**
   * Drivers learn the addresses of nodes from the nodes. With this, node 127.0.0.n gives 127.0.1.n, on
   * the same port: there stands the test's proxy.
   */
  readonly behindProxies?: boolean
  /** An address of this machine where the one node answers drivers, for pods. */
  readonly host?: string
}

export const cassandraAvailable =
  process.env['VARVE_TEST_CASSANDRA'] !== undefined || missingTools('java', 'mvn').length === 0

export class CassandraServer {
  /** Of the first node. */
  readonly address: string
  readonly contactPoints: readonly string[]
  readonly #nodes: Node[]
  readonly #folder: string | undefined

  private constructor(contactPoints: readonly string[], nodes: Node[], folder?: string) {
    this.contactPoints = contactPoints
    this.address = contactPoints[0] ?? ''
    this.#nodes = nodes
    this.#folder = folder
  }

  /** Prepares what is missing, starts empty nodes and waits until each answers CQL. */
  static async start(options: CassandraServerOptions = {}): Promise<CassandraServer> {
    const given = process.env['VARVE_TEST_CASSANDRA']
    // Yours is as it is: whoever asks for another kind gets one of their own.
    if (given !== undefined && Object.keys(options).length === 0)
      return new CassandraServer([given], [])
    const jars = await cassandraJars()
    const java = javaOf17()
    const folder = mkdtempSync(join(tmpdir(), 'varve-cassandra-'))
    const [port, storagePort] = [await freePort(), await freePort()]
    const nodes = Array.from(
      { length: options.nodes ?? 1 },
      (_, n) => new Node({ ...options, n, folder, jars, java, port, storagePort }),
    )
    const server = new CassandraServer(
      nodes.map(({ rpcIp }) => `${rpcIp}:${port}`),
      nodes,
      folder,
    )
    try {
      // The others ask the first one who belongs to the cluster.
      const [first, ...others] = nodes
      await first?.start()
      await Promise.all(others.map((node) => node.start()))
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  /** kill -9. */
  async kill(node = 0): Promise<void> {
    await this.#node(node).process.kill()
  }

  /** SIGSTOP: its connections stay, its answers do not come. */
  pause(node = 0): void {
    process.kill(this.#node(node).pid, 'SIGSTOP')
  }

  resume(node = 0): void {
    process.kill(this.#node(node).pid, 'SIGCONT')
  }

  /** Starts it again on its data, after `kill`. */
  async restart(node = 0): Promise<void> {
    await this.#node(node).start()
  }

  /** Ends all nodes and removes their data. */
  async stop(): Promise<void> {
    // The data goes anyway: nothing to flush.
    await Promise.all(this.#nodes.map((node) => node.end()))
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The end of their logs, for a failing test to print. */
  get log(): string {
    return this.#nodes.map((node) => node.log).join('\n')
  }

  #node(n: number): Node {
    const node = this.#nodes[n]
    if (!node) throw new Error(`VARVE_TEST_CASSANDRA is given: its node ${n} is not ours`)
    return node
  }
}

interface NodeOptions extends CassandraServerOptions {
  readonly n: number
  readonly folder: string
  readonly jars: string
  readonly java: string
  readonly port: number
  readonly storagePort: number
}

class Node {
  readonly ip: string
  /** Where it answers drivers. */
  readonly rpcIp: string
  readonly #options: NodeOptions
  readonly #data: string
  #process: ServerProcess | undefined

  constructor(options: NodeOptions) {
    this.#options = options
    this.ip = `127.0.0.${options.n + 1}`
    this.rpcIp = options.host ?? this.ip
    this.#data = join(options.folder, `node${options.n + 1}`)
  }

  get process(): ServerProcess {
    if (!this.#process) throw new Error(`node ${this.ip} was not started`)
    return this.#process
  }

  get pid(): number {
    const { pid } = this.process
    if (pid === undefined) throw new Error(`node ${this.ip} does not run`)
    return pid
  }

  get log(): string {
    return this.#process?.output ?? ''
  }

  async start(): Promise<void> {
    const { n, java, jars, port, nodes = 1 } = this.#options
    const temporary = join(this.#data, 'tmp')
    mkdirSync(temporary, { recursive: true })
    const yaml = join(this.#data, 'cassandra.yaml')
    writeFileSync(yaml, this.#yaml())
    const jamm = readdirSync(jars).find((name) => name.startsWith('jamm-'))
    const jvm = readFileSync(join(HERE, 'jvm.options'), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    const node = new ServerProcess(
      `Cassandra node ${this.ip}`,
      java,
      [
        ...jvm,
        `-Xmx${nodes === 1 ? '1G' : '640M'}`,
        // Twice this is how long it may take to find the first one.
        ...(n > 0 ? ['-Dcassandra.ring_delay_ms=15000'] : []),
        `-javaagent:${join(jars, jamm ?? 'jamm.jar')}`,
        `-Djava.io.tmpdir=${temporary}`,
        `-Dcassandra.config=file://${yaml}`,
        `-Dcassandra.storagedir=${this.#data}`,
        `-Dcassandra.logdir=${this.#data}`,
        `-Dlogback.configurationFile=${join(HERE, 'logback.xml')}`,
        '-cp',
        `${jars}/*`,
        'org.apache.cassandra.service.CassandraDaemon',
      ],
      { cwd: this.#data },
    )
    this.#process = node
    await node.until(() => answersCql(this.rpcIp, port), READY_MS)
  }

  async end(): Promise<void> {
    const node = this.#process
    if (!node || node.ended) return
    // A paused process is killed all the same.
    await node.kill()
  }

  #yaml(): string {
    const { n, port, storagePort, password, casTimeoutMs = 5_000, paxos = 'v2' } = this.#options
    const toldIp = this.#options.behindProxies ? proxyIp(this.rpcIp) : this.rpcIp
    const values: Record<string, string> = {
      CLUSTER: `varve-test-${port}`,
      // Thirds of the ring.
      TOKEN: String(-(2n ** 63n) + 1n + BigInt(n) * 6_148_914_691_236_517_204n),
      IP: this.ip,
      RPC_IP: this.rpcIp,
      TOLD_IP: toldIp,
      PORT: String(port),
      STORAGE_PORT: String(storagePort),
      DATA: this.#data,
      AUTHENTICATOR: password ? 'PasswordAuthenticator' : 'AllowAllAuthenticator',
      AUTHORIZER: password ? 'CassandraAuthorizer' : 'AllowAllAuthorizer',
      PAXOS: paxos,
      CAS_TIMEOUT_MS: String(casTimeoutMs),
    }
    const template = readFileSync(join(HERE, 'cassandra.yaml.in'), 'utf8')
    return template.replaceAll(/\{([A-Z_]+)\}/g, (_, name: string) => {
      const value = values[name]
      if (value === undefined) throw new Error(`cassandra.yaml.in: no value for {${name}}`)
      return value
    })
  }
}

/** Of the proxy that stands before a node with `behindProxies`. */
export function proxyIp(nodeIp: string): string {
  return nodeIp.replace('127.0.0.', '127.0.1.')
}

/** The folder of the node's jars. */
async function cassandraJars(): Promise<string> {
  const pom = readFileSync(join(HERE, 'pom.xml'), 'utf8')
  const version = /<cassandra.version>(.+)<\/cassandra.version>/.exec(pom)?.[1] ?? 'unknown'
  return cached(
    `cassandra-${version}`,
    `Fetching Apache Cassandra ${version} with Maven, 67 MB, usually 20 to 90 s`,
    async (folder) => {
      const scratch = mkdtempSync(join(tmpdir(), 'varve-mvn-'))
      try {
        cpSync(join(HERE, 'pom.xml'), join(scratch, 'pom.xml'))
        const args = ['-B', '-q', '-ntp', '-f', join(scratch, 'pom.xml')]
        const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime']
        await run('mvn', [...args, ...goal, `-DoutputDirectory=${folder}`])
      } finally {
        rmSync(scratch, { recursive: true, force: true })
      }
    },
  )
}

/** Cassandra 5.0 runs on Java 17 or 11, and on no newer one. */
function javaOf17(): string {
  const homes = [process.env['JAVA_HOME'] ?? '']
  if (existsSync('/usr/lib/jvm'))
    for (const name of readdirSync('/usr/lib/jvm').toSorted()) homes.push(`/usr/lib/jvm/${name}`)
  for (const home of homes) {
    const release = join(home, 'release')
    if (!existsSync(release) || !existsSync(join(home, 'bin/java'))) continue
    if (/^JAVA_VERSION="(17|11)\b/m.test(readFileSync(release, 'utf8')))
      return join(home, 'bin/java')
  }
  return 'java'
}

/** An OPTIONS frame (protocol 4, opcode 5) comes back as SUPPORTED (6). */
function answersCql(ip: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, ip)
    const end = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(2_000, () => end(false))
    socket.once('error', () => end(false))
    socket.once('connect', () => socket.write(Buffer.from([4, 0, 0, 0, 5, 0, 0, 0, 0])))
    socket.once('data', (frame: Buffer) => end(frame[4] === 6))
  })
}
