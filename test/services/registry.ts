// A real schema registry for tests: Apicurio, fetched once by Maven, in memory, on loopback.
// VARVE_TEST_REGISTRY=url uses yours instead; then nothing is started or stopped.

import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { missingTools } from './need.ts'
import { ServerProcess, freePort, run } from './process.ts'

const POM = join(import.meta.dirname, 'registry', 'pom.xml')
const READY_MS = 180_000

export const registryAvailable =
  process.env['VARVE_TEST_REGISTRY'] !== undefined ||
  missingTools('java', 'mvn', 'tar').length === 0

/** The folder of the registry's jars. */
async function application(): Promise<string> {
  const version = /<apicurio.version>([^<]+)</.exec(readFileSync(POM, 'utf8'))?.[1] ?? 'unknown'
  return cached(
    `apicurio-${version}`,
    `Fetching Apicurio Registry ${version} with Maven, 142 MB, usually 20 to 90 s`,
    async (folder) => {
      // Maven writes beside its pom; the sources stay untouched.
      const scratch = mkdtempSync(join(tmpdir(), 'varve-mvn-'))
      try {
        cpSync(POM, join(scratch, 'pom.xml'))
        const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${scratch}/archive`]
        await run('mvn', ['-B', '-q', '-ntp', '-f', join(scratch, 'pom.xml'), ...copy])
        const [archive = 'missing'] = readdirSync(join(scratch, 'archive'))
        await run('tar', ['xzf', join(scratch, 'archive', archive), '-C', folder])
      } finally {
        rmSync(scratch, { recursive: true, force: true })
      }
    },
  )
}

export class RegistryServer {
  /** Of Confluent's API: `http://127.0.0.1:port/apis/ccompat/v7` */
  readonly address: string
  readonly #folder: string | undefined
  #process: ServerProcess | undefined

  private constructor(address: string, folder?: string) {
    this.address = address
    this.#folder = folder
  }

  /** Fetches what is missing, starts an empty registry and waits until it answers. */
  static async start(): Promise<RegistryServer> {
    const given = process.env['VARVE_TEST_REGISTRY']
    if (given !== undefined) return new RegistryServer(given)
    await application()
    const address = `http://127.0.0.1:${await freePort()}/apis/ccompat/v7`
    const server = new RegistryServer(address, mkdtempSync(join(tmpdir(), 'varve-registry-')))
    await server.restart()
    return server
  }

  /** Starts it again on the same port. It keeps its schemas in memory: they are gone. */
  async restart(): Promise<void> {
    if (this.#folder === undefined)
      throw new Error('VARVE_TEST_REGISTRY is given: it cannot be restarted')
    const folder = await application()
    const jar = readdirSync(folder).find((name) => name.endsWith('-runner.jar')) ?? 'missing'
    const server = new ServerProcess(
      'Apicurio',
      'java',
      [
        '-Xms96m',
        '-Xmx384m',
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-Xshare:auto',
        '-Dquarkus.http.host=127.0.0.1',
        `-Dquarkus.http.port=${new URL(this.address).port}`,
        '-Dregistry.ccompat.legacy-id-mode.enabled=false',
        '-Dquarkus.log.level=WARN',
        '-jar',
        join(folder, jar),
      ],
      { cwd: this.#folder },
    )
    this.#process = server
    await server.until(async () => {
      const answer = await fetch(`${this.address}/subjects`).catch(() => undefined)
      return answer?.ok === true
    }, READY_MS)
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (!this.#process) throw new Error('VARVE_TEST_REGISTRY is given: it cannot be killed')
    await this.#process.kill()
  }

  /** Stops it and removes its scratch folder. */
  async stop(): Promise<void> {
    await this.#process?.stop()
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The end of its log, for a failing test to print. */
  get log(): string {
    return this.#process?.output ?? ''
  }
}
