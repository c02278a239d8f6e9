// A real single-node Kafka for tests, from the jars of Maven Central, on loopback in a scratch folder.
// VARVE_TEST_KAFKA=host:port uses yours instead; then nothing is started or stopped.

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { missingTools } from './need.ts'
import { ServerProcess, freePort } from './process.ts'

const HERE = join(import.meta.dirname, 'kafka')
const READY_MS = 120_000

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

export class KafkaServer {
  readonly address: string
  readonly #data: string | undefined
  #process: ServerProcess | undefined

  private constructor(address: string, data?: string) {
    this.address = address
    this.#data = data
  }

  /** Prepares what is missing, starts a broker with empty logs and waits until it answers. */
  static async start(): Promise<KafkaServer> {
    const given = process.env['VARVE_TEST_KAFKA']
    if (given !== undefined) return new KafkaServer(given)
    const jars = await kafkaJars()
    const data = mkdtempSync(join(tmpdir(), 'varve-kafka-'))
    const [port, controllerPort] = [await freePort(), await freePort()]
    const properties = readFileSync(join(HERE, 'server.properties'), 'utf8')
      .replaceAll('{PORT}', String(port))
      .replaceAll('{CONTROLLER_PORT}', String(controllerPort))
      .replaceAll('{DATA}', data)
    writeFileSync(join(data, 'server.properties'), properties)
    const id = randomBytes(16).toString('base64url')
    await run('java', [
      ...jvm(jars),
      'kafka.tools.StorageTool',
      'format',
      '-t',
      `V${id.slice(1)}`,
      '-c',
      join(data, 'server.properties'),
    ])
    const server = new KafkaServer(`127.0.0.1:${port}`, data)
    await server.restart()
    return server
  }

  /** Starts it again on the same logs and port, after `kill`. */
  async restart(): Promise<void> {
    const data = this.#data
    if (data === undefined) throw new Error('VARVE_TEST_KAFKA is given: it cannot be restarted')
    const jars = await kafkaJars()
    const args = [...jvm(jars), 'kafka.Kafka', join(data, 'server.properties')]
    const broker = new ServerProcess('Kafka', 'java', args, { cwd: data })
    this.#process = broker
    // Listening is not enough: a broker answers clients once it is unfenced.
    await broker.until(
      async () => /Kafka Server started/.test(broker.output) && (await listens(this.address)),
      READY_MS,
    )
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (!this.#process) throw new Error('VARVE_TEST_KAFKA is given: it cannot be killed')
    await this.#process.kill()
  }

  /** Stops it and removes its scratch folder. */
  async stop(): Promise<void> {
    await this.#process?.stop()
    if (this.#data !== undefined) rmSync(this.#data, { recursive: true, force: true })
  }

  /** The end of its log, for a failing test to print. */
  get log(): string {
    return this.#process?.output ?? ''
  }
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

async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let all = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    all += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    all += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${all.slice(-4000)}`)
  return out
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
