// Changes that others must approve. The settings that ask for it hold for everybody, so this has a server
// of its own.
import type { Page } from '@playwright/test'
import { expect, test } from './fixtures'
import { start } from './stack'
import { invite } from './world'

test.describe.configure({ mode: 'serial', timeout: 120_000 })

let end = async () => {}
const shared = process.env.SB_WEB_URL

test.beforeAll(async () => {
  test.setTimeout(150_000)
  const server = await start()
  process.env.SB_WEB_URL = server.url
  end = server.end
})

test.afterAll(async () => {
  process.env.SB_WEB_URL = shared
  await end()
})

/** propose writes a rule as text and proposes it. */
async function propose(page: Page, name: string, note: string) {
  await page.goto('/policies?new=rule')
  await page.getByText('Text', { exact: true }).click()
  await page
    .getByRole('textbox', { name: 'Text' })
    .fill(`kind: Rule\nname: ${name}\nspec:\n  effect: deny\n  scope:\n    connection: file\n    prefix: zz/\n`)
  await expect(page.getByText('The server has nothing against it.')).toBeVisible()
  await page.getByRole('button', { name: 'Review change' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByText(/It counts once one person of anybody with the role admin agreed/)).toBeVisible()
  await dialog.getByLabel('Note').fill(note)
  await dialog.getByRole('button', { name: 'Propose it' }).click()
  await expect(dialog.getByText('It waits for approval')).toBeVisible()
  await dialog.getByRole('link', { name: 'See the proposal' }).click()
  await expect(page.getByRole('heading', { name: note, level: 1 })).toBeVisible()
}

test('one person proposes a change, and another one lets it count', async ({ enter, caller, accessible }) => {
  const other = await invite(await caller('olu'), 'Noor Haddad', [{ role: 'admin' }])
  const { page } = await enter('olu')
  await page.goto('/policies?tab=settings')
  await page.getByRole('button', { name: 'Edit settings' }).click()
  await page.getByRole('button', { name: 'Let others approve them' }).click()
  await page.getByRole('combobox', { name: 'Roles' }).click()
  await page.getByRole('option', { name: 'admin' }).click()
  await page.keyboard.press('Escape')
  await accessible(page)
  await expect(page.getByText('The server has nothing against it.')).toBeVisible()
  await page.getByRole('button', { name: 'Review change' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Apply', exact: true }).click()
  await expect(page.getByText(/counts once one person of anybody with the role admin agreed/)).toBeVisible()

  await propose(page, 'zz-nobody', 'nobody reads zz')
  const approve = page.getByRole('button', { name: 'Approve', exact: true })
  await expect(approve).toHaveAccessibleDescription('You proposed it; somebody else decides.')
  await accessible(page)

  const second = await enter(other)
  await second.page.goto('/changes')
  await accessible(second.page)
  await second.page.getByRole('link', { name: 'nobody reads zz' }).click()
  await expect(second.page.getByRole('heading', { name: 'Rule zz-nobody' })).toBeVisible()
  await second.page.getByRole('button', { name: 'Approve', exact: true }).click()
  const dialog = second.page.getByRole('dialog', { name: 'Approve the change' })
  await dialog.getByLabel('Comment').fill('fine by me')
  await accessible(second.page)
  await dialog.getByRole('button', { name: 'Approve', exact: true }).click()
  await expect(second.page.getByText('It was approved, and is a version of its own.')).toBeVisible()
  await expect(page.getByText('fine by me')).toBeVisible() // told live to who proposed it
  await page.goto('/policies')
  await expect(page.getByRole('link', { name: 'zz-nobody' })).toBeVisible()
})

test('a proposal is taken back by who made it', async ({ enter }) => {
  const { page } = await enter('olu')
  await propose(page, 'zz-again', 'on second thought')
  await page.getByRole('button', { name: 'Take it back' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Take it back' }).click()
  await expect(page.getByText('Who proposed it took it back.')).toBeVisible()
})
