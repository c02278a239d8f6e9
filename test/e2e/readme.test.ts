// The README's tour, run as written: one shell, every `sh` block in order; a `text` block after one says
// what it prints.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Product, ROOT, run } from './product.ts'

interface Step {
  readonly script: string
  readonly prints: string | undefined
}

function tour(): Step[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const section = readme.split(/^## /m).find((part) => part.startsWith('A five-minute tour'))
  const blocks = [...(section ?? '').matchAll(/```(sh|text)\n([\s\S]*?)```/g)]
  return blocks.flatMap(([, kind, body], i) => {
    if (kind !== 'sh') return []
    const next = blocks[i + 1]
    return [{ script: body as string, prints: next?.[1] === 'text' ? next[2] : undefined }]
  })
}

test('README: the five-minute tour works as written', async () => {
  await using product = await Product.start()
  const steps = tour()
  expect(steps.length).toBeGreaterThanOrEqual(5)
  const marker = '--- end of step ---'
  const script = ['set -e', ...steps.flatMap((step) => [step.script, `echo '${marker}'`])].join(
    '\n',
  )
  const ran = await run('bash', ['-c', script], {
    env: { VARVE_SERVER: product.url, VARVE_TOKEN: product.token },
  })
  expect(ran.code, ran.stdout + ran.stderr).toBe(0)
  const outputs = ran.stdout.split(`${marker}\n`)
  steps.forEach((step, i) => {
    if (step.prints !== undefined) expect(outputs[i]).toContain(step.prints)
  })
})
