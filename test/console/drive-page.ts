// The page as a user meets it, in a real Chromium. It drives any server that answers at the address:
// the fake one for what must be provoked, the whole product for what must be true.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { expect } from 'vitest'

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const PATIENCE_MS = 30_000

/** Undefined, said loudly, where there is no Chromium; a failure in CI. */
export async function openChromium(): Promise<Browser | undefined> {
  if (!existsSync(CHROMIUM)) {
    if (process.env['CI'] === 'true') throw new Error(`no Chromium at "${CHROMIUM}"`)
    console.error(`SKIPPED: the page is not tested, no Chromium at "${CHROMIUM}" (set CHROMIUM)`)
    return undefined
  }
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

export interface Visit {
  readonly page: Page
  /** Everything the browser complained about: script errors, CSP refusals, failed loads. */
  readonly complaints: string[]
}

/** `expectLoss`: lost connections are the point of the test and no complaint. */
export async function visit(
  browser: Browser,
  url: string,
  options: { width?: number; height?: number; expectLoss?: boolean } = {},
): Promise<Visit> {
  const page = await browser.newPage({
    viewport: { width: options.width ?? 1280, height: options.height ?? 900 },
  })
  page.setDefaultTimeout(PATIENCE_MS)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    const lost = options.expectLoss === true && /net::ERR_/.test(message.text())
    if ((message.type() === 'error' || message.type() === 'warning') && !lost)
      complaints.push(message.text())
  })
  const answer = await page.goto(url)
  const policy = answer?.headers()['content-security-policy'] ?? ''
  expect(policy).toMatch(/default-src '(self|none)'/)
  expect(policy).not.toContain('unsafe-inline')
  return { page, complaints }
}

export const nodeOn = (page: Page, key: string) => page.locator(`[data-key="${key}"]`)

/** The number a node shows, as it stands now. */
export async function countOf(page: Page, key: string): Promise<number> {
  return Number(await nodeOn(page, key).locator('[data-count]').getAttribute('data-count'))
}

export interface Drive {
  /** Keys that must be on the page. */
  readonly nodes: readonly string[]
  /** Makes the number of the node `moves` rise, by whatever means the server has. */
  readonly moves: string
  readonly move: () => Promise<void> | void
}

/** What holds of every server: nodes, movement, keyboard, address, and no complaint. */
export async function drivePage(browser: Browser, baseUrl: string, drive: Drive): Promise<void> {
  const { page, complaints } = await visit(browser, baseUrl)
  try {
    for (const key of drive.nodes) await nodeOn(page, key).waitFor()
    await page.locator('.link-live').waitFor()
    expect(page.url()).not.toContain('token=')

    const before = await countOf(page, drive.moves)
    await drive.move()
    await expect
      .poll(() => countOf(page, drive.moves), { timeout: PATIENCE_MS })
      .toBeGreaterThan(before)

    // Tab reaches the river, an arrow moves on, Enter opens, Escape closes and gives the focus back.
    const focused = (): Promise<string | null> =>
      page.evaluate("document.activeElement?.getAttribute('data-key') ?? null")
    await page.keyboard.press('g')
    await page.keyboard.press('r')
    const first = await focused()
    expect(drive.nodes).toContain(first)
    await page.keyboard.press('ArrowRight')
    const second = await focused()
    expect(drive.nodes).toContain(second)
    expect(second).not.toBe(first)
    await page.keyboard.press('Enter')
    const drawer = page.locator('aside.drawer')
    await drawer.waitFor()
    expect(new URL(page.url()).searchParams.get('node')).toBe(second)
    expect(await drawer.locator('h2').first().textContent()).toBe(second?.split(':')[1])
    const shared = page.url()
    await page.keyboard.press('Escape')
    await drawer.waitFor({ state: 'detached' })
    expect(await focused()).toBe(second)

    // A link shows a colleague the same; back closes what was opened.
    await page.goto(shared)
    await drawer.waitFor()
    expect(await nodeOn(page, second ?? '').getAttribute('aria-current')).toBe('true')
    await page.goBack()
    await drawer.waitFor({ state: 'detached' })
    expect(complaints).toEqual([])
  } finally {
    await page.close()
  }
}
