// One's own account: how somebody proves that it is them, where they are signed in, and who acts for them.
import { randomUUID } from 'node:crypto'
import { expect, test } from './fixtures'
import { code } from './totp'
import { invite } from './world'

const fresh = () => `Sam ${randomUUID().slice(0, 8)}`

test('an authenticator app, recovery codes and a passkey are added, and one is removed', async ({
  enter,
  caller,
  accessible,
}) => {
  test.slow()
  const sam = await invite(await caller('olu'), fresh(), [{ role: 'developer' }])
  const { page, context } = await enter(sam)
  await page.goto('/settings')
  await expect(page.getByRole('heading', { name: 'Only your password protects you' })).toBeVisible()
  await accessible(page)

  await page.getByRole('button', { name: 'Add an authenticator app' }).click()
  const app = page.getByRole('dialog', { name: 'Add an authenticator app' })
  await app.getByLabel('Name').fill('phone')
  await app.getByRole('button', { name: 'Continue' }).click()
  await expect(app.getByRole('img', { name: 'QR code for the authenticator app' })).toBeVisible()
  await accessible(page)
  const secret = ((await app.getByRole('region', { name: 'Secret for the app' }).textContent()) ?? '').trim()
  expect(secret).toMatch(/^[A-Z2-7]{16,}$/)
  await app.getByLabel('First code of the app').fill('000000')
  await app.getByRole('button', { name: 'Confirm' }).click()
  await expect(app.getByRole('alert')).toBeVisible()
  await app.getByLabel('First code of the app').fill(code(secret, 0))
  await app.getByRole('button', { name: 'Confirm' }).click()
  await expect(app).toBeHidden()
  const factors = page.getByRole('list', { name: 'Your second factors' })
  await expect(factors.getByText('phone')).toBeVisible()
  expect(await page.content()).not.toContain(secret)

  // Each code counts once, so the next one proves that it is Sam.
  await page.getByRole('button', { name: 'Make new recovery codes' }).click()
  const recovery = page.getByRole('dialog', { name: 'Recovery codes' })
  await recovery.getByRole('button', { name: 'Make them' }).click()
  const proof = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await proof.getByLabel('Code of your authenticator app').fill(code(secret, 1))
  await proof.getByRole('button', { name: 'Confirm' }).click()
  const codes = recovery.getByRole('list', { name: 'Your recovery codes' }).getByRole('listitem')
  await expect(codes).toHaveCount(10)
  await accessible(page)
  const first = (await codes.first().textContent()) ?? ''
  await recovery.getByRole('button', { name: 'I have kept them' }).click()
  await expect(recovery).toBeHidden()
  expect(first.length).toBeGreaterThan(8)
  expect(await page.content()).not.toContain(first)
  await expect(page.getByText('You have 10 recovery codes left.')).toBeVisible()

  const browser = await context.newCDPSession(page)
  await browser.send('WebAuthn.enable')
  await browser.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  const passkey = page.getByRole('dialog', { name: 'Add a passkey' })
  await passkey.getByLabel('Name').fill('laptop')
  await accessible(page)
  await passkey.getByRole('button', { name: 'Continue' }).click()
  await expect(passkey).toBeHidden()
  await expect(factors.getByText('laptop')).toBeVisible()
  await accessible(page)

  await page.getByRole('button', { name: 'Remove phone' }).click()
  await expect(factors.getByText('phone')).toBeHidden()
  await expect(factors.getByText('laptop')).toBeVisible()
})

test('sessions are listed and ended, and a new password ends the others', async ({ enter, caller, accessible }) => {
  test.slow()
  const sam = await invite(await caller('olu'), fresh(), [{ role: 'developer' }])
  const { page } = await enter(sam)
  const other = await enter(sam)
  await other.page.goto('/requests')
  await expect(other.page.getByRole('heading', { name: 'Requests', level: 1 })).toBeVisible()
  await page.goto('/settings')
  const sessions = page.getByRole('list', { name: 'Your sessions' }).getByRole('listitem')
  await expect(sessions).toHaveCount(2)
  await sessions.filter({ hasNotText: 'This one' }).getByRole('button', { name: /^End / }).click()
  await expect(sessions).toHaveCount(1)
  await expect(other.page.getByRole('dialog', { name: 'Your session has ended' })).toBeVisible({ timeout: 30_000 })
  await other.page.reload()
  await expect(other.page.getByRole('heading', { name: 'Sign in', level: 1 })).toBeVisible()

  const third = await enter(sam)
  await third.page.goto('/requests')
  const password = `newer words than ${randomUUID()}`
  const change = async (old: string, next: string) => {
    await page.getByLabel('Old password', { exact: true }).fill(old)
    await page.getByLabel('New password', { exact: true }).fill(next)
    await page.getByRole('button', { name: 'Change the password' }).click()
  }
  await change('no such password at all', password)
  await expect(page.getByText(/the old password is wrong/i)).toBeVisible()
  await accessible(page)
  await change(sam.password, password)
  await expect(page.getByText('Your password is changed, and all your other sessions have ended.')).toBeVisible()
  await third.page.reload()
  await expect(third.page.getByRole('heading', { name: 'Sign in', level: 1 })).toBeVisible()

  const fourth = await enter({ email: sam.email, password })
  await fourth.page.goto('/requests')
  await page.getByRole('button', { name: 'Sign out everywhere', exact: true }).click()
  await expect(page.getByRole('heading', { name: 'Sign in', level: 1 })).toBeVisible()
  await expect(page.getByText('You were signed out everywhere.')).toBeVisible()
  await accessible(page)
  await fourth.page.reload()
  await expect(fourth.page.getByRole('heading', { name: 'Sign in', level: 1 })).toBeVisible()
})

test('somebody lets a colleague vote for them, and takes it back', async ({ enter, caller, accessible }) => {
  const olu = await caller('olu')
  const sam = await invite(olu, fresh(), [{ role: 'approver' }])
  const colleague = await invite(olu, `Kit ${randomUUID().slice(0, 8)}`, [{ role: 'approver' }])
  const { page } = await enter(sam, { viewport: { width: 390, height: 844 } })
  await page.goto('/settings')
  await expect(page.getByRole('region', { name: 'You', exact: true })).toContainText('approver')
  await page.getByRole('button', { name: 'Let somebody vote for you' }).click()
  const dialog = page.getByRole('dialog', { name: 'Let somebody vote for you' })
  await dialog.getByRole('combobox', { name: 'Colleague' }).fill(colleague.name)
  await page.getByRole('option', { name: colleague.name }).click()
  await dialog.getByLabel('I am away: my own vote is not waited for').check()
  await dialog.getByLabel('Why').fill('a week in the mountains')
  await accessible(page)
  await dialog.getByRole('button', { name: 'Let them vote' }).click()
  await expect(dialog).toBeHidden()
  const list = page.getByRole('list', { name: 'Who decides for you' })
  await expect(list).toContainText(colleague.name)
  await expect(list).toContainText('a week in the mountains')
  await accessible(page)
  await page.getByRole('button', { name: `End it: what ${colleague.name} may` }).click()
  await expect(list.getByRole('listitem')).toHaveCount(0)
})

test('somebody chooses how to be told, and sees what became of a test', async ({ enter, caller, accessible }) => {
  const sam = await invite(await caller('olu'), fresh(), [{ role: 'developer' }])
  const { page } = await enter(sam)
  await page.goto('/settings')
  const told = page.getByRole('region', { name: 'How you are told' })
  await expect(told).toContainText('E-mail')
  await expect(told).toContainText('This server sends no mail yet')
  await told.getByRole('button', { name: 'Try it out' }).click()
  await expect(page.getByRole('list', { name: 'What was sent' })).toContainText('No address')
  await told.getByRole('button', { name: 'Change' }).click()
  const dialog = page.getByRole('dialog', { name: 'How you are told' })
  await dialog.getByRole('checkbox', { name: 'A value was opened' }).uncheck()
  await dialog.getByRole('switch', { name: 'Quiet hours' }).check()
  await dialog.getByLabel('Time zone').fill('Nowhere/Atlantis')
  await dialog.getByRole('button', { name: 'Keep it so' }).click()
  await expect(dialog.getByRole('alert')).toBeVisible()
  await dialog.getByLabel('Time zone').fill('Europe/Berlin')
  await accessible(page)
  await dialog.getByRole('button', { name: 'Keep it so' }).click()
  await expect(dialog).toBeHidden()
  await expect(told).toContainText('22:00 to 07:00, Europe/Berlin')
  await expect(told).toContainText('A value was opened')
  await accessible(page)
})
