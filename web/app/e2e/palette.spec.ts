import { randomBytes } from 'node:crypto'
import { type Caller, expect, test } from './fixtures'

const secret = 'file/prod/db/password'

/** scanned waits until the inventory knows the secret. */
async function scanned(olu: Caller) {
  const known = async () => (await olu.get<{ items: unknown[] }>('/secrets?text=db/passw')).items.length > 0
  if (await known()) return
  await olu.post('/jobs', { type: 'discover', connection: 'file' }).catch(() => undefined) // one may run already
  await expect.poll(known, { timeout: 20_000 }).toBe(true)
}

test('the palette finds a secret and begins a request for it, by keyboard alone', async ({
  caller,
  enter,
  accessible,
}) => {
  await scanned(await caller('olu'))
  const { page } = await enter('dana')
  await page.goto('/settings')
  await expect(page.getByRole('navigation', { name: 'Sections' })).toBeVisible()
  await page.keyboard.press('Control+k')
  const palette = page.getByRole('dialog', { name: 'Search and commands' })
  const input = palette.getByRole('combobox')
  await expect(input).toBeFocused()
  await accessible(page)
  await page.keyboard.type('ask for')
  await expect(palette.getByRole('option', { name: 'Ask for access to…' })).toHaveAttribute('aria-selected', 'true')
  await page.keyboard.press('Enter')
  await expect(input).toHaveAttribute('aria-label', 'Which secret do you want to read?')
  await page.keyboard.type('db/passw')
  const option = palette.getByRole('option', { name: secret })
  await expect(option).toHaveAttribute('aria-selected', 'true')
  await expect(input).toHaveAttribute('aria-activedescendant', (await option.getAttribute('id')) as string)
  await accessible(page)
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/requests\/new\?secret=file%2Fprod%2Fdb%2Fpassword&operation=read$/)
  await expect(palette).toBeHidden()
})

test('a whole path finds its secret, and one that no scan met can be asked for', async ({ caller, enter }) => {
  await scanned(await caller('olu'))
  const { page } = await enter('dana')
  await page.goto('/settings')
  await page.getByRole('button', { name: 'Search or jump to…' }).click()
  const palette = page.getByRole('dialog', { name: 'Search and commands' })
  await palette.getByRole('combobox').fill(secret)
  await expect(palette.getByRole('option', { name: `Ask to read ${secret}` })).toBeVisible()
  const unknown = `file/prod/${randomBytes(9).toString('hex')}`
  await palette.getByRole('combobox').fill(unknown)
  await expect(palette.getByRole('option')).toHaveText([`Ask to read ${unknown}`, `Ask to change ${unknown}`])
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(`/requests/new?secret=${encodeURIComponent(unknown)}&operation=read`)
  await expect(page.getByRole('heading', { level: 1 })).toBeFocused()
})

test('the palette goes to pages, and says why one may not', async ({ enter }) => {
  const olu = await enter('olu')
  await olu.page.goto('/settings')
  await olu.page.getByRole('button', { name: 'Search or jump to…' }).click()
  await olu.page.getByRole('combobox').fill('audit')
  await olu.page.keyboard.press('Enter')
  await expect(olu.page).toHaveURL(/\/audit$/)
  const dana = await enter('dana')
  await dana.page.goto('/settings')
  await dana.page.getByRole('button', { name: 'Search or jump to…' }).click()
  await dana.page.getByRole('combobox').fill('audit')
  const blocked = dana.page.getByRole('option', { name: /Audit.*None of your roles lets you.*audit.read/ })
  await expect(blocked).toHaveAttribute('aria-disabled', 'true')
  await dana.page.keyboard.press('Enter')
  await expect(dana.page).toHaveURL(/\/settings$/)
  await expect(blocked).toBeVisible()
})

test('the palette decides, scans and comes back to what was seen last', async ({ enter, caller, accessible }) => {
  const dana = await caller('dana')
  const reason = `reason-${randomBytes(9).toString('hex')}`
  const request = await dana.post<{ id: string }>('/requests', { secret, reason })
  const { page } = await enter('ada')
  await page.goto('/settings')
  await page.getByRole('button', { name: 'Search or jump to…' }).click()
  const palette = page.getByRole('dialog', { name: 'Search and commands' })
  await palette.getByRole('option', { name: 'Approve or deny…' }).click()
  await palette.getByRole('combobox').fill(reason)
  await expect(palette.getByRole('group', { name: 'They wait for you' }).getByRole('option')).toHaveCount(1)
  await accessible(page)
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(`/inbox?request=${request.id}`)

  await page.goto(`/requests/${request.id}`)
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Dana Developer') // it is known by its name then
  await page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Settings' }).click()
  await page.keyboard.press('Control+k')
  const recent = palette.getByRole('group', { name: 'Recent' }).getByRole('option')
  await expect(recent).toHaveText([`Dana Developer asks to read ${secret}`])
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(`/requests/${request.id}`)

  const olu = await enter('olu')
  await olu.page.goto('/settings')
  await olu.page.getByRole('button', { name: 'Search or jump to…' }).click()
  await olu.page.getByRole('combobox').fill('scan')
  await olu.page.keyboard.press('Enter')
  await olu.page.getByRole('option', { name: 'file' }).click()
  await expect(olu.page.getByRole('dialog', { name: 'Search and commands' })).toBeHidden()
  await expect(olu.page).toHaveURL(/\/jobs\/j_/)
})
