// What holds for every page, whoever looks at it.
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Page } from '@playwright/test'
import { expect, test } from './fixtures'
import { pages } from './pages'

/** What a page needs before it can be seen, zipped, in kB of 1,000 bytes; what it loads later comes in chunks. */
const most = { script: 210, stylesheet: 45, lazyChunk: 90 }

/** The files that routes.tsx loads. */
const pageFiles = new Set(
  [
    ...readFileSync(join(import.meta.dirname, '../src/routes.tsx'), 'utf8').matchAll(/import\('\.\/pages\/([^']+)'\)/g),
  ].map(([, file]) => `${file}.tsx`),
)

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

test('no page needs more than its budget to be seen, and no chunk is large', async () => {
  const site = join(import.meta.dirname, '../dist/site')
  const manifest = JSON.parse(await readFile(join(site, 'manifest.json'), 'utf8')) as Record<string, Chunk>
  const zipped = async (file: string) => gzipSync(await readFile(join(site, file)), { level: 9 }).length / 1000
  const entry = needs(manifest, 'index.html')
  const routed = Object.keys(manifest).filter((name) => isPage(name))
  expect(routed.length).toBeGreaterThan(20)
  for (const name of routed) {
    const chunks = [...new Set([...entry, ...needs(manifest, name)])].map((part) => manifest[part] as Chunk)
    const scripts = await Promise.all(chunks.map(({ file }) => zipped(file)))
    const styles = await Promise.all([...new Set(chunks.flatMap(({ css }) => css ?? []))].map(zipped))
    expect.soft(sum(scripts), `kB of script of ${name}`).toBeLessThanOrEqual(most.script)
    expect.soft(sum(styles), `kB of style of ${name}`).toBeLessThanOrEqual(most.stylesheet)
  }
  for (const { file } of Object.values(manifest).filter(({ file, isEntry }) => file.endsWith('.js') && !isEntry)) {
    expect.soft(await zipped(file), `kB of ${file}`).toBeLessThanOrEqual(most.lazyChunk)
  }
})

/** A file of the built application, as Vite's manifest tells of it. */
interface Chunk {
  file: string
  css?: string[]
  imports?: string[]
  isEntry?: boolean
}

/** needs is a chunk with all that it cannot run without. */
function needs(manifest: Record<string, Chunk>, name: string, found = new Set<string>()): Set<string> {
  if (!found.has(name)) {
    found.add(name)
    for (const other of manifest[name]?.imports ?? []) needs(manifest, other, found)
  }
  return found
}

/** The pages that an address leads to: their file has the name of its folder, or of one thing in it. */
const isPage = (name: string) => pageFiles.has(name.replace(/^src\/pages\//, ''))

const sum = (numbers: number[]) => numbers.reduce((all, one) => all + one, 0)

test('what somebody may not do is shown with the reason', async ({ enter }) => {
  const { page } = await enter('dana')
  await page.goto('/audit')
  await settled(page)
  await expect(page.getByRole('main')).toContainText(/may not/i)
  const link = page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Audit' })
  await link.focus()
  await expect(page.getByRole('tooltip')).toContainText('audit.read')
})
