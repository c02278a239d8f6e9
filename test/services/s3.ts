// A real S3 server for tests: versitygw, built once by Go, over a scratch folder, on loopback unless told
// otherwise. VARVE_TEST_S3=http://host:port uses yours instead (VARVE_TEST_S3_ACCESS_KEY,
// VARVE_TEST_S3_SECRET_KEY); then nothing is started or stopped.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { S3Options } from '../../src/blob/adapters/s3/options.ts'
import { cachePath, cached } from './cache.ts'
import { missingTools } from './need.ts'
import { ServerProcess, freePort, run } from './process.ts'

const VERSION = 'v1.8.0'
const NAME = `versitygw-${VERSION}`
const READY_MS = 60_000
const CERTIFICATE = 'cert.pem'
const KEY = 'key.pem'
const S3_REGION = 'us-east-1'

export const s3Available =
  process.env['VARVE_TEST_S3'] !== undefined ||
  existsSync(cachePath(NAME)) ||
  missingTools('go').length === 0

/** The keys of the server of `shared('s3')` and of every S3Server. */
export function s3Keys(): { accessKey: string; secretKey: string } {
  return {
    accessKey: process.env['VARVE_TEST_S3_ACCESS_KEY'] ?? 'test',
    secretKey: process.env['VARVE_TEST_S3_SECRET_KEY'] ?? 'testtest',
  }
}

/** What a store of tests is opened with. @param endpoint of the server, or of a proxy before it */
export function s3Options(endpoint: string, bucket: string): S3Options {
  return { endpoint, region: S3_REGION, bucket, pathStyle: true, ...s3Keys() }
}

/** A bucket of its own for a test file; it may be there already. */
export async function createBucket(endpoint: string, name: string): Promise<void> {
  const { S3Client, CreateBucketCommand } = await import('@aws-sdk/client-s3')
  const { accessKey, secretKey } = s3Keys()
  const client = new S3Client({
    endpoint,
    region: S3_REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  })
  try {
    await client.send(new CreateBucketCommand({ Bucket: name }))
  } catch (error) {
    if (!(error as Error).name.startsWith('BucketAlready')) throw error
  } finally {
    client.destroy()
  }
}

/** Of a server that nobody vouches for. */
async function makeCertificate(folder: string): Promise<void> {
  const files = ['-keyout', join(folder, KEY), '-out', join(folder, CERTIFICATE)]
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30']
  await run('openssl', ['req', ...kind, ...files, ...name])
}

async function binary(): Promise<string> {
  const folder = await cached(
    NAME,
    `Building versitygw ${VERSION} with Go (an S3 server), usually 2 to 5 minutes`,
    async (draft) => {
      const what = `github.com/versity/versitygw/cmd/versitygw@${VERSION}`
      const env = { ...process.env, GOBIN: draft }
      await run('go', ['install', '-trimpath', '-ldflags', '-s -w', what], env)
    },
  )
  return join(folder, 'versitygw')
}

export interface S3Start {
  readonly tls?: boolean
  /** An address of this machine to listen on, for pods. */
  readonly host?: string
}

export class S3Server {
  /** `http://host:port` */
  readonly address: string
  readonly #folder: string | undefined
  #process: ServerProcess | undefined

  private constructor(address: string, folder?: string) {
    this.address = address
    this.#folder = folder
  }

  /** Builds what is missing, starts a server without buckets and waits until it answers. */
  static async start(): Promise<S3Server> {
    const given = process.env['VARVE_TEST_S3']
    return given === undefined ? S3Server.own() : new S3Server(given)
  }

  /** As `start`, but never the one that is given: for tests that kill it. */
  static async own({ tls = false, host = '127.0.0.1' }: S3Start = {}): Promise<S3Server> {
    await binary()
    const folder = mkdtempSync(join(tmpdir(), 'varve-s3-'))
    if (tls) await makeCertificate(folder)
    const address = `${tls ? 'https' : 'http'}://${host}:${await freePort()}`
    const server = new S3Server(address, folder)
    await server.restart()
    return server
  }

  /** Starts it again on the same folder and port, after `kill`. */
  async restart(): Promise<void> {
    const folder = this.#mine('restarted')
    const data = join(folder, 'buckets')
    mkdirSync(data, { recursive: true })
    const { accessKey, secretKey } = s3Keys()
    const args = ['--quiet', '--keep-alive', '--port', new URL(this.address).host]
    if (this.address.startsWith('https:'))
      args.push('--cert', join(folder, CERTIFICATE), '--key', join(folder, KEY))
    const server = new ServerProcess(
      'versitygw',
      await binary(),
      [...args, '--region', S3_REGION, '--health', '/health', 'posix', data],
      {
        cwd: folder,
        env: { ...process.env, ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey },
      },
    )
    this.#process = server
    await server.until(() => this.#answers(), READY_MS)
  }

  createBucket(name: string): Promise<void> {
    return createBucket(this.address, name)
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#mine('killed')
    await this.#process?.kill()
  }

  /** Stops answering, keeps its connections. */
  pause(): void {
    this.#signal('SIGSTOP')
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  /** Stops it and removes its scratch folder. */
  async stop(): Promise<void> {
    await this.#process?.stop()
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The certificate to trust, PEM; only of a server with TLS. */
  get certificate(): string {
    return readFileSync(join(this.#mine('asked'), CERTIFICATE), 'utf8')
  }

  /** The end of its log, for a failing test to print. */
  get log(): string {
    return this.#process?.output ?? ''
  }

  #answers(): Promise<boolean> {
    const { request } = this.address.startsWith('https:') ? https : http
    return new Promise((resolve) => {
      const asked = request(`${this.address}/health`, { rejectUnauthorized: false }, (answer) => {
        answer.resume()
        resolve(answer.statusCode === 200)
      })
      asked.on('error', () => resolve(false))
      asked.end()
    })
  }

  #signal(signal: NodeJS.Signals): void {
    this.#mine('paused')
    const pid = this.#process?.pid
    if (pid !== undefined) process.kill(pid, signal)
  }

  #mine(what: string): string {
    if (this.#folder === undefined) throw new Error(`VARVE_TEST_S3 is given: it cannot be ${what}`)
    return this.#folder
  }
}
