// Pictures of every page in both colour schemes, for the docs: `make screenshots` writes them.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { expect, test } from './fixtures'
import { pages } from './pages'
import { build } from './world'

const folder = join(import.meta.dirname, '../../../docs/images')

test('pictures of every page', async ({ enter, visit, caller }) => {
  test.setTimeout(300_000)
  await mkdir(folder, { recursive: true })
  const callers = { olu: await caller('olu'), dana: await caller('dana'), ada: await caller('ada') }
  const world = await build(callers)
  const look = { viewport: { width: 1280, height: 800 } }

  await take((await visit(look)).page, 'sign-in', '/sign-in')
  const olu = await enter('olu', look)
  for (const { name, path } of pages) {
    if (!['Inbox', 'Requests', 'New request'].includes(name)) await take(olu.page, slug(name), path)
  }
  const dana = await enter('dana', look)
  await take(dana.page, 'requests', '/requests')
  await take(dana.page, 'new-request', '/requests/new?secret=file/prod/payments/stripe')
  await take(dana.page, 'request', `/requests/${world.requests.pending}`)
  await take(dana.page, 'request-ready', `/requests/${world.requests.ready}`)
  const ada = await enter('ada', look)
  await take(ada.page, 'inbox', '/inbox')
  const phone = await enter('ada', { viewport: { width: 390, height: 844 } })
  await take(phone.page, 'inbox-phone', '/inbox')
})

const slug = (name: string) => name.toLowerCase().replaceAll(/[^a-z]+/g, '-')

async function take(page: Page, name: string, path: string) {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.goto(path)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await expect(page.getByRole('status', { name: /^Loading/ })).toHaveCount(0)
    await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`), animations: 'disabled', caret: 'hide' })
  }
}
