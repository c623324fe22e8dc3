// Letting people in, giving them roles, and keeping them out.
import { randomUUID } from 'node:crypto'
import type { Page } from '@playwright/test'
import { expect, test } from './fixtures'
import { invite } from './world'

const fresh = () => `Nia ${randomUUID().slice(0, 8)}`

const rolesOf = (page: Page, name: string) => page.getByRole('list', { name: `Roles of ${name}` })

/** shown is what a dialog shows once, read as a person would. */
async function shown(page: Page, what: string): Promise<string> {
  const text = page.getByRole('region', { name: `The ${what}` })
  await expect(text).toHaveText(/^•+$/)
  await page.getByRole('button', { name: 'Show it' }).click()
  await expect(text).not.toHaveText(/•/)
  return ((await text.textContent()) ?? '').trim()
}

/** leftovers is all that a page still has, where something shown once must not be. */
const leftovers = (page: Page) =>
  page.evaluate(() =>
    JSON.stringify([
      document.documentElement.outerHTML,
      { ...localStorage },
      { ...sessionStorage },
      location.href,
      history.state,
      document.title,
    ]),
  )

/** choose sets a password by a link, and signs in with it. */
async function choose(page: Page, link: string, email: string, password: string) {
  const { hash } = new URL(link)
  await page.goto(`/${hash}`)
  await expect(page.getByRole('heading', { name: 'Choose a password' })).toBeVisible()
  expect(page.url()).not.toContain(hash)
  await page.getByLabel('New password', { exact: true }).fill(password)
  await page.getByLabel('The same once more', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Set the password' }).click()
  await expect(page.getByText('Your password is set.')).toBeVisible()
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

test('somebody is invited, comes in by the link, and may ask as soon as they have a role', async ({
  enter,
  visit,
  accessible,
}) => {
  test.slow()
  const name = fresh()
  const email = `${randomUUID()}@example.org`
  const { page } = await enter('olu')
  await page.goto('/people')
  await page.getByRole('button', { name: 'Invite somebody' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill(name)
  await dialog.getByLabel('E-mail').fill(email)
  await accessible(page)
  await dialog.getByRole('button', { name: 'Make the link' }).click()
  await expect(dialog.getByRole('heading', { name: `${name} is invited` })).toBeVisible()
  const link = await shown(page, 'link')
  await accessible(page)
  await dialog.getByRole('link', { name: `Give ${name} a role` }).click()
  await expect(dialog).toBeHidden()
  const token = new URL(link).hash.replace('#link=', '')
  expect(token.length).toBeGreaterThan(20)
  expect(await leftovers(page)).not.toContain(token)

  const nia = await visit()
  await choose(nia.page, link, email, `four words that ${randomUUID()}`)
  await expect(nia.page.getByRole('heading', { name: `Welcome, ${name}` })).toBeVisible()
  await expect(nia.page.getByRole('main')).toContainText('You have no role yet. Ask an administrator for one')
  await accessible(nia.page)
  expect(await leftovers(nia.page)).not.toContain(token)

  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible()
  await expect(page.getByText('None: they can sign in, and do nothing yet.')).toBeVisible()
  await accessible(page)
  await page.getByRole('button', { name: 'Give a role' }).click()
  const give = page.getByRole('dialog', { name: `Give ${name} a role` })
  await give.getByLabel('Role', { exact: true }).selectOption('developer')
  await give.getByLabel('Connection').fill('file')
  await give.getByLabel('Below the path').fill('staging')
  await expect(give.getByText(`${name} will be developer for secrets below file/staging.`)).toBeVisible()
  await accessible(page)
  await give.getByRole('button', { name: 'Give the role' }).click()
  await expect(give).toBeHidden()
  await expect(rolesOf(page, name)).toContainText('secrets below file/staging')

  // Nobody loads anything again: the page of who got the role knows.
  await expect(nia.page.getByRole('heading', { name: `Welcome, ${name}` })).toBeHidden()
  await expect(nia.page.getByRole('heading', { name: 'Inbox', level: 1 })).toBeVisible()
  await nia.page.goto('/requests/new?secret=file/staging/mail/smtp')
  await nia.page.getByLabel('Reason').fill('my first look at the mail relay')
  await nia.page.getByRole('button', { name: 'Send the request' }).click()
  await expect(nia.page).toHaveURL(/\/requests\/r_/)

  await page.getByRole('button', { name: 'Take it: the role developer' }).click()
  const take = page.getByRole('dialog', { name: 'Take the role developer' })
  await accessible(page)
  await take.getByRole('button', { name: 'Take it' }).click()
  await expect(take).toBeHidden()
  await expect(page.getByText('None: they can sign in, and do nothing yet.')).toBeVisible()
})

test('a reset link gives a new password, and who is kept out is out at once, until they are erased', async ({
  enter,
  visit,
  caller,
  accessible,
}) => {
  test.slow()
  const somebody = await invite(await caller('olu'), fresh(), [{ role: 'developer' }])
  const { page } = await enter('olu')
  await page.goto(`/people/${somebody.id}`)
  await page.getByRole('button', { name: 'Make a reset link' }).click()
  const dialog = page.getByRole('dialog', { name: `A reset link for ${somebody.name}` })
  await expect(dialog).toBeVisible()
  const link = await shown(page, 'link')
  await accessible(page)
  await dialog.getByRole('button', { name: 'Close' }).last().click()
  await expect(dialog).toBeHidden()
  expect(await leftovers(page)).not.toContain(new URL(link).hash.slice('#link='.length))

  const them = await visit()
  await choose(them.page, link, somebody.email, `other words than ${randomUUID()}`)
  await expect(them.page.getByRole('button', { name: `Account of ${somebody.name}` })).toBeVisible()
  await page.reload()
  await expect(page.getByRole('list', { name: `Sessions of ${somebody.name}` }).getByRole('listitem')).toHaveCount(1)

  await page.getByRole('button', { name: 'Keep them out' }).click()
  const out = page.getByRole('dialog', { name: `Keep ${somebody.name} out` })
  await out.getByLabel('Reason, for the audit').fill('left the company')
  await accessible(page)
  await out.getByRole('button', { name: 'Keep them out' }).click()
  await expect(out).toBeHidden()
  await expect(page.getByText('Kept out', { exact: true })).toBeVisible()
  await expect(them.page.getByRole('dialog', { name: 'Your session has ended' })).toBeVisible({ timeout: 30_000 })
  await accessible(them.page)
  await expect(page.getByRole('button', { name: 'Make a reset link' })).toHaveAttribute(
    'aria-description',
    'They are kept out. Let them in first.',
  )
  await page.getByRole('button', { name: 'Let them in again' }).click()
  await expect(page.getByRole('button', { name: 'Keep them out' })).toBeVisible()

  await page.getByRole('button', { name: 'Erase', exact: true }).click()
  const erase = page.getByRole('dialog', { name: `Erase ${somebody.name}` })
  await expect(erase.getByRole('button', { name: 'Erase for good' })).toBeDisabled()
  await erase.getByLabel(`Type ${somebody.name} to confirm`).fill(somebody.name)
  await accessible(page)
  await erase.getByRole('button', { name: 'Erase for good' }).click()
  await expect(page.getByRole('table', { name: 'People' })).toBeVisible()
  await expect(page.getByRole('row').filter({ hasText: somebody.name })).toHaveCount(0)
  await page.goto(`/people/${somebody.id}`)
  await expect(page.getByRole('heading', { name: 'This person was erased' })).toBeVisible()
  await accessible(page)
})

test('what each role lets people do is read by who may, and nobody changes their own', async ({
  enter,
  accessible,
}) => {
  const { page } = await enter('olu')
  await page.goto('/people?show=roles')
  await expect(page.getByText('approver').first()).toBeVisible()
  await accessible(page)
  await page.goto('/people')
  await page.getByRole('row').filter({ hasText: 'Olu Operator' }).click()
  for (const action of ['Give a role', 'Keep them out', 'Erase', 'Make a reset link']) {
    const button = page.getByRole('button', { name: action, exact: true })
    await expect(button).toHaveAttribute('aria-description', /Ask another administrator/)
  }
  await accessible(page)

  const dana = await enter('dana')
  for (const path of ['/people', '/people?show=roles', '/people/u_00000000000000000000000000']) {
    await dana.page.goto(path)
    await expect(dana.page.getByRole('heading', { name: 'You may not see this' })).toBeVisible()
    await accessible(dana.page)
  }
  await dana.page.goto('/people')
  await expect(dana.page.getByRole('button', { name: 'Invite somebody' })).toHaveAttribute(
    'aria-description',
    /person\.manage/,
  )
})
