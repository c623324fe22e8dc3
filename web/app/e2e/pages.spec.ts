// What holds for every page, whoever looks at it.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Page } from '@playwright/test'
import { expect, type Person, test } from './fixtures'
import { pages } from './pages'

/** Bytes on the wire until a page is there, in kB of 1,000 bytes. */
const most = { script: 210, stylesheet: 45, lazyChunk: 90 }

/** settled waits until a page has its heading and nothing on it loads. */
async function settled(page: Page) {
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await expect(page.getByRole('status', { name: /^Loading/ })).toHaveCount(0)
}

for (const who of ['olu', 'dana'] as const) {
  test(`every page is accessible, fits a phone and complains of nothing, for ${who}`, async ({ enter, accessible }) => {
    test.slow()
    const { page } = await enter(who)
    for (const { name, path } of pages) {
      await test.step(name, async () => {
        await page.setViewportSize({ width: 1360, height: 860 })
        await page.goto(path)
        await settled(page)
        await expect(page).toHaveTitle(new RegExp(`^${name} · Secrets Bridge$`))
        await accessible(page)
        await page.setViewportSize({ width: 390, height: 844 })
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
        expect(wide, `pixels of ${name} beyond the side of a phone`).toBeLessThanOrEqual(0)
      })
    }
  })
}

test('no page needs more than its budget to be seen', async ({ enter }) => {
  test.slow()
  const person = await enter('olu')
  for (const { name, path } of pages) {
    const bytes = await firstPaint(person, path)
    expect.soft(bytes.script / 1000, `kB of script of ${name}`).toBeLessThanOrEqual(most.script)
    expect.soft(bytes.stylesheet / 1000, `kB of style of ${name}`).toBeLessThanOrEqual(most.stylesheet)
  }
})

/** firstPaint adds up what came over the wire until the page was there, with nothing kept from before. */
async function firstPaint({ context }: Person, path: string) {
  const page = await context.newPage()
  const browser = await context.newCDPSession(page)
  await browser.send('Network.enable')
  await browser.send('Network.setCacheDisabled', { cacheDisabled: true })
  const kinds = new Map<string, 'script' | 'stylesheet'>()
  const bytes = { script: 0, stylesheet: 0 }
  browser.on('Network.responseReceived', ({ requestId, type, response }) => {
    if (type === 'Stylesheet' || response.mimeType === 'text/css') kinds.set(requestId, 'stylesheet')
    else if (type === 'Script' || response.mimeType.includes('javascript')) kinds.set(requestId, 'script')
  })
  browser.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const kind = kinds.get(requestId)
    if (kind) bytes[kind] += encodedDataLength
  })
  await page.goto(path)
  await settled(page)
  await page.close()
  expect(bytes.script, `script of ${path}`).toBeGreaterThan(50_000) // else nothing was measured
  return bytes
}

test('no chunk that is loaded later is large', async () => {
  const folder = join(import.meta.dirname, '../dist/site/assets')
  const files = (await readdir(folder)).filter((name) => name.endsWith('.js') && !name.startsWith('index-'))
  expect(files.length).toBeGreaterThan(10)
  for (const name of files) {
    const zipped = gzipSync(await readFile(join(folder, name)), { level: 9 }).length
    expect.soft(zipped / 1000, `kB of ${name}`).toBeLessThanOrEqual(most.lazyChunk)
  }
})

test('what somebody may not do is shown with the reason', async ({ enter }) => {
  const { page } = await enter('dana')
  await page.goto('/audit')
  await settled(page)
  await expect(page.getByRole('main')).toContainText(/may not/i)
  const link = page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Audit' })
  await link.focus()
  await expect(page.getByRole('tooltip')).toContainText('audit.read')
})
