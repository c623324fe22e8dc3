// What an installation works with, machines and their tokens, and the reference of the API.
import { randomUUID } from 'node:crypto'
import { request } from '@playwright/test'
import { expect, test, url } from './fixtures'

const fresh = () => `ci-${randomUUID().slice(0, 8)}`

/** statusOf is how the API answers a program with a token. */
async function statusOf(token: string, path: string): Promise<number> {
  const program = await request.newContext({
    baseURL: url(),
    ignoreHTTPSErrors: true,
    extraHTTPHeaders: { Authorization: `Bearer ${token}` },
  })
  const answer = await program.get(`/api/v1${path}`)
  await program.dispose()
  return answer.status()
}

test('a machine gets a token that works until it is revoked, and is shown once', async ({ enter, accessible }) => {
  test.slow()
  const name = fresh()
  const { page } = await enter('olu')
  await page.goto('/integrations?show=machines')
  await page.getByRole('button', { name: 'New machine' }).first().click()
  const make = page.getByRole('dialog', { name: 'New machine' })
  await make.getByLabel('Name').fill('No Such Name')
  await expect(make.getByText('Small letters, digits and -, beginning with a letter')).toBeVisible()
  await make.getByLabel('Name').fill(name)
  await make.getByLabel('What it is for').fill('deploys of the shop')
  await accessible(page)
  await make.getByRole('button', { name: 'Make it' }).click()
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible()
  await accessible(page)

  await page.getByRole('button', { name: 'Give a role' }).click()
  const give = page.getByRole('dialog', { name: `Give ${name} a role` })
  await give.getByLabel('Role', { exact: true }).selectOption('developer')
  await give.getByRole('button', { name: 'Give the role' }).click()
  await expect(page.getByRole('list', { name: `Roles of ${name}` })).toContainText('everywhere')

  await page.getByRole('button', { name: 'Make a token' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('textbox', { name: 'Name' }).fill('deploy')
  await expect(dialog.getByRole('checkbox', { name: 'manage machines and their tokens' })).toHaveCount(0)
  await dialog
    .getByRole('checkbox', { name: /see .*requests/i })
    .first()
    .check()
  await accessible(page)
  await dialog.getByRole('button', { name: 'Make the token' }).click()
  const shown = dialog.getByRole('region', { name: 'The token' })
  await expect(shown).toHaveText(/^•+$/)
  await dialog.getByRole('button', { name: 'Show it' }).click()
  await expect(shown).toHaveText(/^sbt_[0-9A-Za-z]{49}$/)
  const token = ((await shown.textContent()) ?? '').trim()
  await expect(dialog.getByRole('region', { name: 'How curl uses it' })).toContainText('"$SB_TOKEN"')
  await accessible(page)
  await dialog.getByRole('button', { name: 'Close' }).last().click()
  await expect(dialog).toBeHidden()
  const kept = () =>
    page.evaluate(() =>
      JSON.stringify([document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }, history.state]),
    )
  expect(await kept()).not.toContain(token)

  expect(await statusOf(token, '/requests')).toBe(200)
  expect(await statusOf(token, '/people')).toBe(403)
  const tokens = page.getByRole('list', { name: `Tokens of ${name}` })
  await page.reload()
  await expect(tokens).toContainText('Last used')
  await accessible(page)
  await page.getByRole('button', { name: 'Revoke the token deploy' }).click()
  const revoke = page.getByRole('dialog', { name: 'Revoke the token deploy' })
  await revoke.getByLabel('Reason, for the audit').fill('the pipeline is gone')
  await revoke.getByRole('button', { name: 'Revoke' }).click()
  await expect(tokens.getByRole('listitem')).toHaveCount(0)
  expect(await statusOf(token, '/requests')).toBe(401)

  await page.getByRole('button', { name: 'Keep it out' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Keep it out' }).click()
  await expect(page.getByText('Kept out', { exact: true })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Make a token' })).toHaveAttribute(
    'aria-description',
    'It is kept out. Let it in first.',
  )
  await page.getByRole('button', { name: 'Let it in again' }).click()
  await expect(page.getByRole('button', { name: 'Keep it out' })).toBeVisible()
  await page.getByRole('button', { name: 'Erase' }).click()
  const erase = page.getByRole('dialog', { name: `Erase ${name}` })
  await erase.getByLabel(`Type ${name} to confirm`).fill(name)
  await accessible(page)
  await erase.getByRole('button', { name: 'Erase for good' }).click()
  await expect(page.getByRole('tab', { name: 'Machines' })).toHaveAttribute('aria-selected', 'true')
  await expect(page.getByRole('row').filter({ hasText: name })).toHaveCount(0)
})

test('a webhook is told, its key is shown once and rotated, and what cannot be sent says why', async ({
  enter,
  accessible,
}) => {
  test.slow()
  const name = `hook-${randomUUID().slice(0, 8)}`
  const address = `https://127.0.0.1:9/in/${randomUUID()}` // this machine's own, which a server must never call
  const { page } = await enter('olu')
  await page.goto('/integrations')
  await page.getByRole('button', { name: 'New integration' }).first().click()
  const make = page.getByRole('dialog')
  await make.getByLabel('Kind').selectOption('webhook')
  await make.getByLabel('Name').fill(name)
  await make.getByRole('textbox', { name: 'Address' }).fill(address)
  await make.getByRole('checkbox', { name: 'A request could not be carried out' }).check()
  await accessible(page)
  await make.getByRole('button', { name: 'Create' }).click()
  const shown = page.getByRole('dialog').getByRole('region', { name: 'The signing key' })
  await expect(shown).toHaveText(/^•+$/)
  await page.getByRole('dialog').getByRole('button', { name: 'Show it' }).click()
  await expect(shown).toHaveText(/^whsec_/)
  const key = ((await shown.textContent()) ?? '').trim()
  await accessible(page)
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click()
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible()
  await expect(page.getByRole('region', { name: 'What is known' })).toContainText('127.0.0.1')
  const kept = () =>
    page.evaluate(() =>
      JSON.stringify([document.documentElement.outerHTML, { ...localStorage }, { ...sessionStorage }, history.state]),
    )
  const all = await kept()
  expect(all).not.toContain(key)
  expect(all).not.toContain(address)

  await page.getByRole('button', { name: 'Try it out' }).click()
  const sent = page.getByRole('list', { name: 'What was sent' }).getByRole('listitem')
  await expect(sent.first()).toContainText('A test')
  await expect(sent.first()).toContainText('The address is one that this server must not call')
  await accessible(page)

  await page.getByRole('button', { name: 'Rotate: signing key' }).click()
  const rotate = page.getByRole('dialog')
  await rotate.getByLabel('The one before still signs for').selectOption('3600')
  await rotate.getByRole('button', { name: 'Make another one' }).click()
  await expect(rotate.getByRole('region', { name: 'The signing key' })).toBeVisible()
  await rotate.getByRole('button', { name: 'Show it' }).click()
  await expect(rotate.getByRole('region', { name: 'The signing key' })).not.toHaveText(key)
  await rotate.getByRole('button', { name: 'Close' }).last().click()
  await expect(page.getByRole('list', { name: 'Its secrets' })).toContainText('the one before counts, too')

  await page.getByRole('button', { name: 'Disable' }).click()
  await page.getByLabel('Reason, for the audit').fill('it moves')
  await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click()
  await expect(page.getByText('This integration is disabled')).toBeVisible()
  await page.getByRole('button', { name: 'Remove' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await expect(page.getByRole('tab', { name: 'Integrations' })).toHaveAttribute('aria-selected', 'true')
  await expect(page.getByRole('row').filter({ hasText: name })).toHaveCount(0)
})

test('what is set up is said, with how an operator sets up the rest', async ({ enter, accessible }) => {
  const { page } = await enter('olu')
  await page.goto('/integrations?show=installation')
  await expect(page.getByRole('region', { name: 'Single sign-on', exact: true })).toContainText('SB_OIDC_ISSUER=')
  await expect(page.getByRole('region', { name: 'Passkeys' })).toContainText('localhost')
  await expect(page.getByRole('region', { name: 'Key manager' })).toContainText('Keys on the disk of the server')
  await expect(page.getByRole('region', { name: 'Notices by mail' })).toContainText('SB_SMTP_HOST=')
  await expect(page.getByRole('region', { name: 'Limits that people meet' })).toContainText('of one person')
  await accessible(page)

  const dana = await enter('dana')
  await dana.page.goto('/integrations')
  await expect(dana.page.getByRole('region', { name: 'Key manager' })).toContainText('governance.read')
  await expect(dana.page.getByRole('region', { name: 'Audit export' })).toContainText('audit.read')
  for (const path of [
    '/integrations?show=integrations',
    '/integrations/nothing',
    '/integrations/machines/u_00000000000000000000000000',
    '/integrations?show=machines',
  ]) {
    await dana.page.goto(path)
    await expect(dana.page.getByRole('heading', { name: 'You may not see this' })).toBeVisible()
    await accessible(dana.page)
  }
  await expect(dana.page.getByRole('button', { name: 'New machine' })).toHaveAttribute(
    'aria-description',
    /machine\.manage/,
  )
  await page.goto('/integrations/machines/u_00000000000000000000000000')
  await expect(page.getByRole('heading', { name: 'There is no such machine' })).toBeVisible()
})

test('the reference opens a call by its address, finds others by words, and fits a phone', async ({
  enter,
  accessible,
}) => {
  const { page } = await enter('dana')
  await page.goto('/api-reference?operation=issueToken')
  const call = page.getByRole('article', { name: 'Make a token' })
  await expect(call).toContainText('/api/v1/machines/{id}/tokens')
  await expect(call).toContainText('You do not have it.')
  await expect(call.getByRole('region', { name: 'What it takes' })).toContainText('Exclusive; at most 366 days ahead.')
  await call.getByRole('button', { name: 'Show the fields of scope' }).click()
  await expect(call).toContainText('With all teams below.')
  await call.getByRole('button', { name: /^Show the \d+ codes$/ }).click()
  await expect(call).toContainText('a machine has at most 50 tokens; revoke some')
  await accessible(page)

  const find = page.getByLabel('Find a call')
  await find.fill('nothing of that kind')
  await expect(page.getByText('No call has these words.')).toBeVisible()
  await find.fill('request approve')
  await find.press('ArrowDown')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/operation=approveRequest/)
  await expect(page.getByRole('article')).toContainText('/requests/{id}/approve')

  await page.setViewportSize({ width: 390, height: 844 })
  await page.getByRole('link', { name: 'All calls' }).click()
  await expect(page.getByRole('region', { name: 'How to call it' })).toBeVisible()
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  expect(wide).toBeLessThanOrEqual(0)
  await accessible(page)
  await page.goto('/api-reference?operation=noSuchCall')
  await expect(page.getByText('There is no call noSuchCall.')).toBeVisible()
})
