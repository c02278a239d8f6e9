// The page in Chromium against a server that does what it is told.
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildConsole } from '../../scripts/build-console.ts'
import { countOf, drivePage, nodeOn, openChromium, visit } from '../console/drive-page.ts'
import { startFakeServer } from '../console/fake-server.ts'
import type { FakeServer } from '../console/fake-server.ts'
import {
  ADDRESS,
  CAUSE,
  EMPTY_RIVER,
  NO_NODE,
  POOL,
  REMEDY,
  diamondRiver,
  fakeId,
  metricsRiver,
  nodeOf,
  podsRiver,
} from '../console/rivers.ts'

const nowMs = Date.now()
const metrics = metricsRiver(nowMs)
const repo = metrics.nodes[1]
let browser: Browser | undefined

beforeAll(async () => {
  await buildConsole()
  browser = await openChromium()
})
afterAll(() => browser?.close())

/** A test with a server of its own and the browser, skipped where there is none. */
function onPage(name: string, body: (browser: Browser, server: FakeServer) => Promise<void>): void {
  test(name, async (context) => {
    if (!browser) return context.skip('no Chromium')
    const server = await startFakeServer(metrics)
    try {
      await body(browser, server)
    } finally {
      await server.close()
    }
  })
}

onPage('nodes, movement, keyboard and address', async (chromium, server) => {
  await drivePage(chromium, `${server.url}?token=secret`, {
    nodes: metrics.nodes.map((node) => node.key),
    moves: 'repo:metrics',
    move: () => server.emit({ type: 'node', node: { ...repo, count: 129 } as never }),
  })
})

onPage('a new commit falls onto its core sample, on top; rows follow', async (chromium, server) => {
  const { page, complaints } = await visit(chromium, server.url)
  const bands = nodeOn(page, 'repo:metrics').locator('.band')
  await expect.poll(() => bands.count()).toBe(24)
  expect(await page.locator('.band.drop').count()).toBe(0)
  if (!repo) throw new Error('the fixture has a repo')
  const [newest, ...older] = repo.bands
  const id = fakeId(77, nowMs)
  const band = { ...(newest as NonNullable<typeof newest>), id, state: 'finished' }
  server.emit({
    type: 'node',
    node: { ...repo, count: 129, bands: [band, { ...band, ...newest }, ...older.slice(0, -1)] },
  })
  server.emit({
    type: 'commit',
    commit: {
      repo: 'metrics',
      branch: 'master',
      id,
      state: 'finished',
      origin: 'spout',
      atMs: nowMs,
      files: 48,
      bytes: 1024,
    },
  })
  await expect.poll(() => page.locator('.band.drop').count()).toBe(1)
  expect(await bands.first().getAttribute('class')).toContain('drop')
  expect(await bands.count()).toBe(24)
  const row = page.locator('#commits tbody tr').first()
  await expect.poll(() => row.locator('button.id').getAttribute('title')).toContain(id)
  expect(await row.locator('.bytes').textContent()).toBe('1.0 KiB')
  expect(complaints).toEqual([])
  await page.close()
})

onPage('hovering a band reads it', async (chromium, server) => {
  const { page } = await visit(chromium, server.url)
  const tube = nodeOn(page, 'repo:metrics').locator('.tube')
  await tube.hover({ position: { x: 30, y: 130 } })
  const readout = page.locator('.readout')
  await readout.waitFor()
  const text = (await readout.textContent()) ?? ''
  expect(repo?.bands.some((band) => text.includes(band.id.slice(-8)))).toBe(true)
  expect(text).toContain('from feed:metrics')
  await page.close()
})

onPage(
  'a pipeline that fails says why, on its gate and whole in the drawer',
  async (chromium, server) => {
    server.set(diamondRiver(nowMs))
    const { page, complaints } = await visit(chromium, `${server.url}?node=pipeline:enrich`)
    const gate = nodeOn(page, 'pipeline:enrich')
    await gate.waitFor()
    expect(await gate.locator('.cause').textContent()).toBe(CAUSE)
    expect(await gate.locator('.remedy').textContent()).toContain(REMEDY)
    expect(await gate.locator('.state').textContent()).toBe('failed')
    const drawer = page.locator('aside.drawer')
    expect(await drawer.locator('.explanation .cause').textContent()).toBe(CAUSE)
    expect(await drawer.locator('.command').first().textContent()).toContain(
      'varve datum list enrich@',
    )
    expect(await page.locator('.summary button').first().textContent()).toBe('enrich')
    expect(complaints).toEqual([])
    await page.close()
  },
)

onPage(
  'a pipeline whose pods cannot run says how many do and why, and leads to its pool',
  async (chromium, server) => {
    server.set(podsRiver(nowMs))
    const { page, complaints } = await visit(chromium, server.url)
    const runs = nodeOn(page, 'pipeline:summary')
    await runs.waitFor()
    expect(await runs.locator('.part').allTextContents()).toContain('3 of 4 pods')
    const gate = nodeOn(page, 'pipeline:alerts')
    expect(await gate.locator('.state').textContent()).toBe('waiting: no node')
    expect(await gate.locator('.pods').textContent()).toBe('0 of 4 pods')
    expect(await gate.locator('.cause').textContent()).toBe(NO_NODE.text)
    // Nothing of it is cut off by the node, or lies under its bar.
    const box = (what: string) => gate.locator(what).boundingBox()
    const [remedy, bar] = [await box('.remedy'), await box('progress')]
    expect((remedy?.y ?? 0) + (remedy?.height ?? 0)).toBeLessThanOrEqual(bar?.y ?? 0)
    await gate.click()
    const drawer = page.locator('aside.drawer')
    expect(await drawer.locator('.explanation .remedy').textContent()).toContain(NO_NODE.remedy)
    expect(await drawer.locator('.command').first().textContent()).toContain(
      `varve pool inspect ${POOL}`,
    )
    expect(await drawer.locator('dd code').textContent()).toBe(ADDRESS)
    expect(complaints).toEqual([])
    await page.close()
  },
)

onPage('a lost connection is said and mended, from where it was', async (chromium, server) => {
  const { page, complaints } = await visit(chromium, server.url, { expectLoss: true })
  await page.locator('.link-live').waitFor()
  await nodeOn(page, 'repo:metrics').waitFor()
  server.drop(true)
  await page.locator('.problem', { hasText: 'Connection lost' }).waitFor()
  expect(await nodeOn(page, 'repo:metrics').isVisible()).toBe(true)
  server.emit({ type: 'node', node: { ...repo, count: 500 } as never })
  server.drop(false)
  await page.locator('.link-live').waitFor()
  await page.locator('.problem').waitFor({ state: 'detached' })
  await expect.poll(() => countOf(page, 'repo:metrics')).toBe(500)
  expect(server.resumedFrom).toEqual(['1203', '1203'])
  expect(complaints).toEqual([])
  await page.close()
})

onPage(
  'an empty project teaches the command that fills it, and then fills',
  async (chromium, server) => {
    server.set(EMPTY_RIVER)
    const { page, complaints } = await visit(chromium, server.url)
    await page.locator('.empty .command', { hasText: 'varve repo create metrics' }).waitFor()
    server.set(metrics)
    await nodeOn(page, 'feed:metrics').waitFor()
    expect(complaints).toEqual([])
    await page.close()
  },
)

onPage('a telephone gets the whole river, without scrolling sideways', async (chromium, server) => {
  const { page, complaints } = await visit(chromium, server.url, { width: 360, height: 740 })
  await page.locator('.river.down .node').first().waitFor()
  expect(await page.locator('.node').count()).toBe(metrics.nodes.length)
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
  await nodeOn(page, 'pipeline:summary').click()
  await page.locator('aside.drawer').waitFor()
  expect(complaints).toEqual([])
  await page.close()
})

onPage('nodes never cover one another', async (chromium, server) => {
  server.set(diamondRiver(nowMs))
  for (const width of [360, 1280, 2560]) {
    const { page } = await visit(chromium, server.url, { width })
    await page.locator('.node').first().waitFor()
    const boxes = await Promise.all(
      (await page.locator('.node').all()).map((node) => node.boundingBox()),
    )
    for (const [i, a] of boxes.entries())
      for (const b of boxes.slice(i + 1)) {
        if (!a || !b) throw new Error('a node has no box')
        const apart =
          a.x + a.width <= b.x ||
          b.x + b.width <= a.x ||
          a.y + a.height <= b.y ||
          b.y + b.height <= a.y
        expect(apart, `at ${width} px`).toBe(true)
      }
    await page.close()
  }
})

onPage('two hundred nodes show the surroundings of the chosen one', async (chromium, server) => {
  const nodes = Array.from({ length: 200 }, (_, i) => nodeOf('repo', `r${i}`, {}))
  const edges = nodes.slice(1).map((node, i) => ({ from: `repo:r${i}`, to: node.key }))
  server.set({ ...EMPTY_RIVER, nodes, edges })
  const { page, complaints } = await visit(chromium, `${server.url}?node=repo:r190`)
  await nodeOn(page, 'repo:r190').waitFor()
  expect(await page.locator('.node').count()).toBeLessThanOrEqual(150)
  expect(await page.locator('.around').textContent()).toContain('of 200 nodes')
  expect(complaints).toEqual([])
  await page.close()
})

onPage(
  'finding lights what matches, in river and tables, and keeps it in the address',
  async (chromium, server) => {
    const { page } = await visit(chromium, server.url)
    await nodeOn(page, 'repo:alerts').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('alert')
    await expect.poll(() => page.locator('.node.dim').count()).toBe(4)
    expect(await page.locator('#jobs tbody tr').allTextContents()).toSatisfy((rows: string[]) =>
      rows.every((row) => row.includes('alerts')),
    )
    expect(page.url()).toContain('find=alert')
    await page.keyboard.press('Escape')
    await expect.poll(() => page.locator('.node.dim').count()).toBe(0)
    await page.close()
  },
)
