// The page of the real server, in Chromium: the demo's river moves as its commits arrive.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildConsole } from '../../scripts/build-console.ts'
import { drivePage, nodeOn, openChromium, visit } from '../console/drive-page.ts'
import { Product } from './product.ts'

test('page: the river of the demo is live on the real server', async (context) => {
  await buildConsole()
  await using product = await Product.start({ args: ['--demo'] })
  const browser = await openChromium()
  if (!browser) return context.skip('no Chromium')
  try {
    const address = `${product.url}/?token=${product.token}`
    await drivePage(browser, address, {
      nodes: [
        'feed:metrics',
        'repo:metrics',
        'pipeline:summary',
        'repo:alerts',
        'egress:alerts-file',
      ],
      moves: 'repo:alerts',
      move: async () => {}, // the demo moves by itself
    })
    // What fails says why, on the page, without a reload.
    const { page, complaints } = await visit(browser, address, { height: 700 })
    await product.varve(['repo', 'create', 'broken-in'])
    const spec =
      'pipeline: {name: broken}\ninput: {pfs: {repo: broken-in, glob: "/*"}}\ntransform: {cmd: ["false"]}\n'
    await product.varve(['apply', '-f', '-'], spec)
    await product.varve(['file', 'put', 'broken-in@master:/x', '-f', '-'], 'x')
    const gate = nodeOn(page, 'pipeline:broken')
    await gate.waitFor()
    await expect.poll(() => gate.textContent(), { timeout: 60_000 }).toMatch(/failed/)
    await expect.poll(() => gate.textContent()).toMatch(/exit code 1|datum/)
    if (process.env['VARVE_TEST_SCREENSHOTS'])
      await page.screenshot({ path: join(process.env['VARVE_TEST_SCREENSHOTS'], 'river.png') })
    expect(complaints).toEqual([])
  } finally {
    await browser.close()
  }
})
