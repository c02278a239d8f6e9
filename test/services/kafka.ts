// A real Kafka for tests, one broker or three, from the jars of Maven Central, in scratch folders, on
// loopback unless told otherwise. VARVE_TEST_KAFKA=host:port uses yours instead; then nothing is started
// or stopped.

import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { missingTools } from './need.ts'
import { ServerProcess, freePort, run } from './process.ts'

const HERE = join(import.meta.dirname, 'kafka')
const READY_MS = 240_000
const LOOPBACK = '127.0.0.1'

export const kafkaAvailable =
  process.env['VARVE_TEST_KAFKA'] !== undefined || missingTools('java', 'mvn').length === 0

/** The folder of the broker's and the Java client's jars. */
export async function kafkaJars(): Promise<string> {
  const pom = readFileSync(join(HERE, 'pom.xml'), 'utf8')
  const version = /<kafka.version>(.+)<\/kafka.version>/.exec(pom)?.[1] ?? 'unknown'
  return cached(
    `kafka-${version}`,
    `Fetching Apache Kafka ${version} with Maven, 56 MB, usually 20 to 90 s`,
    async (folder) => {
      // Maven writes beside its pom; the sources stay untouched.
      const scratch = mkdtempSync(join(tmpdir(), 'varve-mvn-'))
      try {
        cpSync(join(HERE, 'pom.xml'), join(scratch, 'pom.xml'))
        await run('mvn', [
          '-B',
          '-q',
          '-ntp',
          '-f',
          join(scratch, 'pom.xml'),
          'dependency:copy-dependencies',
          `-DoutputDirectory=${folder}`,
          '-DincludeScope=runtime',
        ])
      } finally {
        rmSync(scratch, { recursive: true, force: true })
      }
    },
  )
}

export interface KafkaStart {
  /** Three: copies of everything on all of them, two must acknowledge. Default one. */
  readonly brokers?: 1 | 3
  /**
   * Besides the plain listener one that asks for a login (`sasl`) and one with TLS (`tls`), and access
   * lists for who logs in: `admin` may all, `limited` what a test allows it (password = name).
   */
  readonly secured?: boolean
  /** An address of this machine to listen on and to be found at, for pods. */
  readonly host?: string
}

interface Node {
  readonly data: string
  readonly host: string
  readonly port: number
  process: ServerProcess | undefined
}

export class KafkaServer {
  /** Brokers to begin with, `host:port,host:port`. */
  readonly address: string
  /** With `secured`. */
  readonly sasl: string
  readonly tls: string
  /** The certificate to trust, PEM. */
  readonly ca: string
  readonly #nodes: readonly Node[]

  private constructor(address: string, nodes: readonly Node[], secured?: Secured) {
    this.address = address
    this.#nodes = nodes
    this.sasl = secured === undefined ? '' : `127.0.0.1:${secured.saslPort}`
    this.tls = secured === undefined ? '' : `localhost:${secured.tlsPort}`
    this.ca = secured?.ca ?? ''
  }

  /** Prepares what is missing, starts brokers with empty logs and waits until they answer. */
  static async start(options: KafkaStart = {}): Promise<KafkaServer> {
    const given = process.env['VARVE_TEST_KAFKA']
    // Yours is as it is: whoever asks for another kind gets one of their own.
    if (given !== undefined && Object.keys(options).length === 0) return new KafkaServer(given, [])
    return KafkaServer.own(options)
  }

  /** Also when VARVE_TEST_KAFKA is given: for tests that kill. */
  static async own(options: KafkaStart = {}): Promise<KafkaServer> {
    const { brokers = 1, secured = false, host = LOOPBACK } = options
    const jars = await kafkaJars()
    const nodes: Node[] = []
    const controllers: number[] = []
    for (let i = 0; i < brokers; i++) {
      const data = mkdtempSync(join(tmpdir(), 'varve-kafka-'))
      nodes.push({ data, host, port: await freePort(), process: undefined })
      controllers.push(await freePort())
    }
    const voters = controllers.map((port, i) => `${i + 1}@127.0.0.1:${port}`).join(',')
    const extra = secured ? await secure(nodes[0]?.data ?? '') : undefined
    const id = `V${randomBytes(16).toString('base64url').slice(1)}`
    for (const [i, { data, port }] of nodes.entries()) {
      const file = join(data, 'server.properties')
      const filled = Object.entries({
        NODE: i + 1,
        HOST: host,
        VOTERS: voters,
        PORT: port,
        CONTROLLER_PORT: controllers[i],
        MORE_LISTENERS: extra?.listeners ?? '',
        DATA: data,
        COPIES: brokers,
        INSYNC: brokers === 3 ? 2 : 1,
      }).reduce(
        (text, [name, value]) => text.replaceAll(`{${name}}`, String(value)),
        readFileSync(join(HERE, 'server.properties'), 'utf8'),
      )
      writeFileSync(file, filled + (extra?.properties ?? ''))
      const first = nodes[0]?.data ?? ''
      if (i > 0) copyFormat(join(first, 'log'), join(data, 'log'), i + 1)
      else {
        const scram = (extra === undefined ? [] : SCRAM).flatMap((one) => ['--add-scram', one])
        const format = ['kafka.tools.StorageTool', 'format', '-t', id, '-c', file, ...scram]
        await run('java', [...jvm(jars), ...format])
      }
    }
    const address = nodes.map(({ port }) => `${host}:${port}`).join(',')
    const server = new KafkaServer(address, nodes, extra)
    try {
      await Promise.all(nodes.map((_, i) => server.restart(i)))
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  /** Starts a broker again on the same logs and port, after `kill`. */
  async restart(broker = 0): Promise<void> {
    const node = this.#node(broker)
    const jars = await kafkaJars()
    // Several at once start in half the time when Java does not optimise much.
    const quick = this.#nodes.length > 1 ? ['-XX:TieredStopAtLevel=1'] : []
    const args = [...quick, ...jvm(jars), 'kafka.Kafka', join(node.data, 'server.properties')]
    const started = new ServerProcess('Kafka', 'java', args, { cwd: node.data })
    node.process = started
    // Listening is not enough: a broker answers clients once it is unfenced.
    await started.until(
      async () =>
        /Kafka Server started/.test(started.output) && (await listens(`${node.host}:${node.port}`)),
      READY_MS,
    )
  }

  /** kill -9. */
  async kill(broker = 0): Promise<void> {
    await this.#node(broker).process?.kill()
  }

  /** Its connections stay open and nobody answers, until `resume`. */
  pause(broker = 0): void {
    process.kill(this.#pid(broker), 'SIGSTOP')
  }

  resume(broker = 0): void {
    process.kill(this.#pid(broker), 'SIGCONT')
  }

  #pid(broker: number): number {
    const pid = this.#node(broker).process?.pid
    if (pid === undefined) throw new Error(`broker ${broker} does not run`)
    return pid
  }

  #node(broker: number): Node {
    const node = this.#nodes[broker]
    if (!node) throw new Error('VARVE_TEST_KAFKA is given: it is not ours to stop or start')
    return node
  }

  /** Stops what it started and removes its scratch folders. */
  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(async (node) => node.process?.kill()))
    for (const { data } of this.#nodes) rmSync(data, { recursive: true, force: true })
  }

  /** The end of its log, for a failing test to print. */
  get log(): string {
    return this.#nodes.map((node) => node.process?.output ?? '').join('\n')
  }
}

/** What formatting makes, for another node of the cluster: a start of Java less for each. */
function copyFormat(from: string, to: string, node: number): void {
  cpSync(from, to, { recursive: true })
  const file = join(to, 'meta.properties')
  const folder = `V${randomBytes(16).toString('base64url').slice(1)}`
  const own = readFileSync(file, 'utf8')
    .replace(/^node\.id=.*$/m, `node.id=${node}`)
    .replace(/^directory\.id=.*$/m, `directory.id=${folder}`)
  writeFileSync(file, own)
}

interface Secured {
  readonly saslPort: number
  readonly tlsPort: number
  readonly ca: string
  readonly listeners: string
  readonly properties: string
}

const SCRAM = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].map(
  (kind) => `${kind}=[name=admin,password=admin]`,
)

/** Listeners with a login and with TLS, and a certificate of their own. */
async function secure(folder: string): Promise<Secured> {
  const [saslPort, tlsPort] = [await freePort(), await freePort()]
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = '-subj /CN=localhost -addext subjectAltName=DNS:localhost'
  const made = 'req -x509 -newkey rsa:2048 -nodes -days 30'
  await run('openssl', [...`${made} ${subject}`.split(' '), '-keyout', key, '-out', cert])
  const ca = readFileSync(cert, 'utf8')
  writeFileSync(join(folder, 'both.pem'), readFileSync(key, 'utf8') + ca)
  const login = 'org.apache.kafka.common.security'
  const plain = ['admin', 'limited'].map((name) => `user_${name}="${name}"`).join(' ')
  const properties = `
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=${login}.plain.PlainLoginModule required ${plain};
listener.name.sasl.scram-sha-256.sasl.jaas.config=${login}.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=${login}.scram.ScramLoginModule required;
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location=${join(folder, 'both.pem')}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
`
  const listeners = `,SASL://127.0.0.1:${saslPort},TLS://localhost:${tlsPort}`
  return { saslPort, tlsPort, ca, listeners, properties }
}

/** The Java program beside this file, on the broker's own client. @returns its standard output */
export async function java(program: string, ...args: readonly string[]): Promise<string> {
  const jars = await kafkaJars()
  const file = join(import.meta.dirname, 'java', `${program}.java`)
  return run('java', ['-Xmx512m', '-cp', `${jars}/*`, file, ...args])
}

/** What librdkafka reads of a topic: records, and distinct `varve-record-id`s. Needs kcat. */
export async function kcatCount(
  address: string,
  topic: string,
): Promise<{ records: number; ids: number }> {
  const format = ['-f', '%h\\n']
  const out = await run('kcat', [
    '-C',
    '-b',
    address,
    '-t',
    topic,
    '-o',
    'beginning',
    '-e',
    '-q',
    ...format,
  ])
  const headers = out.split('\n').slice(0, -1)
  return { records: headers.length, ids: new Set(headers).size }
}

function jvm(jars: string): string[] {
  return [
    '-Xms256m',
    '-Xmx512m',
    '-XX:+UseG1GC',
    '-Xshare:auto',
    '-Djava.awt.headless=true',
    `-Dlog4j2.configurationFile=${join(HERE, 'log4j2.xml')}`,
    '-cp',
    `${jars}/*`,
  ]
}

function listens(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(':')
  return new Promise((resolve) => {
    const socket = connect(Number(port), host)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
