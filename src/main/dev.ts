// `varve dev`: the embedded server in the foreground, with the demo if asked for.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { helpOf } from '../config/help.ts'
import { parseOptions } from '../config/parse.ts'

interface DevFlags extends Readonly<Record<string, string | boolean | undefined>> {
  readonly demo?: boolean
  readonly fresh?: boolean
  readonly once?: boolean
}

export function addDev(program: Command, signal: AbortSignal): void {
  const command = program
    .command('dev')
    .description('run an embedded server here: one process, one folder; not for production')
    .option('--demo', 'feed the server its own metrics through two pipelines into a file')
    .option('--no-demo', 'run without the demo (the default)')
    .option('--fresh', 'start the data folder anew')
    .option('--once', 'use a temporary folder, stop after the first record the demo delivers')
  for (const { head, text, hasFlag } of helpOf('dev')) if (hasFlag) command.option(head, text)
  command.action(async ({ demo: withDemo, fresh, once, ...flags }: DevFlags) => {
    const options = parseOptions('dev', process.env, flags)
    // Loaded here: `varve --help` need not pay for a server.
    const { openEmbedded } = await import('./embedded.ts')
    const { startDemo } = await import('./demo/demo.ts')
    const { startLogging } = await import('../observe/logging.ts')
    await using opened = new AsyncDisposableStack()
    const logging = startLogging({ level: options.logLevel })
    opened.defer(() => logging.close())
    const temporary = once ? await mkdtemp(join(tmpdir(), 'varve-once-')) : undefined
    if (temporary) opened.defer(() => rm(temporary, { recursive: true, force: true }))
    const varve = await openEmbedded({
      ...options,
      data: temporary ?? options.data,
      fresh: fresh === true,
      port: once ? 0 : options.port,
    })
    opened.defer(() => varve.close())
    const stop = new AbortController()
    opened.defer(() => stop.abort())
    const demo = withDemo || once ? await startDemo(varve, stop.signal) : undefined
    if (once && demo) {
      await Promise.race([demo.firstRecord, varve.failed, aborted(signal)])
      // Since the process began.
      const firstOutputMs = Math.round(performance.now())
      process.stdout.write(`${JSON.stringify({ firstOutputMs })}\n`)
      return
    }
    process.stdout.write(greeting(varve, demo?.alerts))
    await Promise.race([aborted(signal), varve.failed])
    process.stderr.write('stopping …\n')
  })
}

function greeting(
  varve: { url: string; token: string; data: string; sandboxMissing: string | undefined },
  alerts: string | undefined,
): string {
  const rows: [string, string][] = [
    ['page', `${varve.url}/?token=${varve.token}`],
    ['API', `${varve.url}/api/v1/openapi.json`],
    ['data', varve.data],
    ['token', varve.token],
  ]
  if (alerts) rows.push(['results', alerts])
  const lines = rows.map(([name, value]) => `  ${name.padEnd(8)}${value}`)
  const tries = alerts
    ? [`tail -f ${alerts}`, 'npx varve commit list metrics', 'npx varve job list summary']
    : [
        'npx varve repo create events',
        'npx varve file put events@master:/hello -f README.md',
        'npx varve apply -f pipeline.yaml',
      ]
  const sandbox = varve.sandboxMissing
    ? `\n  user code runs without a sandbox (${varve.sandboxMissing}): it finds its files in $PFS_ROOT\n`
    : ''
  return `\n${lines.join('\n')}\n\n  local, not for production${sandbox}\n  try\n${tries.map((one) => `    ${one}`).join('\n')}\n\n`
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
