import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Page } from '@playwright/test'
import { expect, test } from './fixtures'
import { invite } from './world'

const secret = 'file/prod/db/password'

/** taken is the text of a file that a click downloads. */
async function taken(page: Page, name: string): Promise<string> {
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name, exact: true }).click()
  return readFile(await (await download).path(), 'utf8')
}

test('an auditor sees who signed the log, and takes proofs along', async ({ caller, enter, accessible }) => {
  const dana = await caller('dana')
  const request = await dana.post<{ id: string }>('/requests', { secret, reason: randomBytes(9).toString('hex') })
  const { page } = await enter('olu')
  await page.goto(`/audit?stream=request/${request.id}`)
  await page.getByRole('button', { name: 'Proof', exact: true }).click()
  const panel = page.getByRole('dialog', { name: 'Proof' })
  await expect(panel.getByText(/^All [\d,]+ commits of the log stand in one signed tree\.$/)).toBeVisible()
  await expect(panel.getByRole('region', { name: 'Policy of keys' })).toContainText('quorum')
  await accessible(page)
  expect(await taken(page, 'Download the checkpoint')).toMatch(/^secrets-bridge\/\w+\n\d+\n.*\n\n— /)
  await panel.getByRole('tab', { name: 'Legal holds' }).click()
  await expect(panel.getByText('While a hold counts', { exact: false })).toBeVisible()
  await accessible(page)
  await panel.getByRole('button', { name: 'Close' }).click()

  await page.getByRole('table', { name: 'Facts', exact: true }).getByRole('row').nth(1).click()
  await page.getByRole('tab', { name: 'Proof' }).click()
  await accessible(page)
  expect(await taken(page, 'Proof')).toMatch(/^c2sp\.org\/tlog-proof@v1\n/)
  expect(await taken(page, 'Stored bytes')).toContain(request.id)
})

test('an auditor holds one person, who cannot be erased until the hold is lifted', async ({
  caller,
  enter,
  accessible,
}) => {
  const olu = await caller('olu')
  const [held, reason] = [await invite(olu, 'Hanna Held', []), `case ${randomBytes(6).toString('hex')}`]
  const auditor = await invite(olu, 'Ari Auditor', [{ role: 'auditor' }])
  const { page } = await enter({ email: auditor.email, password: auditor.password })
  await page.goto('/audit')
  await page.getByRole('button', { name: 'Proof', exact: true }).click()
  const panel = page.getByRole('dialog', { name: 'Proof' })
  await panel.getByRole('tab', { name: 'Legal holds' }).click()
  await panel.getByRole('button', { name: 'Hold one person' }).click()
  const dialog = page.getByRole('dialog', { name: 'Hold one person or machine' })
  await dialog.getByRole('combobox', { name: 'Who' }).fill(held.email)
  await page.getByRole('option', { name: `Hanna Held (${held.email})` }).click()
  await dialog.getByLabel('Reason').fill(reason)
  await accessible(page)
  await dialog.getByRole('button', { name: 'Place the hold' }).click()
  await expect(dialog).toHaveCount(0)
  const hold = panel.getByRole('list', { name: 'Legal holds' }).getByRole('listitem').filter({ hasText: reason })
  await expect(hold).toContainText('Hanna Held')
  await expect(olu.post(`/people/${held.id}/erase`, {})).rejects.toThrow(/legal_hold/)

  await hold.getByRole('button', { name: 'Lift' }).click()
  const lift = page.getByRole('dialog', { name: 'Lift this hold?' })
  await lift.getByLabel('Reason').fill('the case is closed')
  await lift.getByRole('button', { name: 'Lift the hold' }).click()
  await expect(hold).toHaveCount(0)
  await olu.post(`/people/${held.id}/erase`, {})
})

test('an auditor has views and audit compared with the log', async ({ enter, accessible }) => {
  const { page } = await enter('olu')
  await page.goto('/audit')
  await page.getByRole('button', { name: 'Proof', exact: true }).click()
  const panel = page.getByRole('dialog', { name: 'Proof' })
  await panel.getByRole('tab', { name: 'Comparison' }).click()
  await panel.getByRole('button', { name: 'Compare now' }).click()
  await expect(panel.getByText('Nothing differs')).toBeVisible({ timeout: 40_000 })
  await expect(
    panel.getByText(/^Views and audit are what the log says\. Compared up to commit [\d,]+, in \d+ seconds?\.$/),
  ).toBeVisible()
  await accessible(page)
  await panel.getByRole('button', { name: 'Close' }).click()
  await page.goto('/audit?type=sb.access.audit_compared.v1')
  await expect(page.getByRole('table', { name: 'Facts', exact: true }).getByRole('row').nth(1)).toBeVisible()
})

test('a request is seen as it was, and its evidence taken along', async ({ caller, enter, accessible }) => {
  const [dana, ada] = [await caller('dana'), await caller('ada')]
  const request = await dana.post<{ id: string }>('/requests', { secret, reason: randomBytes(9).toString('hex') })
  await ada.post(`/requests/${request.id}/reject`, { comment: 'not today' })
  const { page } = await enter('olu')
  await page.goto(`/requests/${request.id}`)
  await page.getByRole('tab', { name: 'History' }).click()
  await page
    .getByRole('link', { name: /^How the request was then: / })
    .first()
    .click()
  await expect(page).toHaveURL(/as_of=\d+/)
  const then = page.getByRole('article', { name: 'Request as it was' })
  await expect(then.getByText(/^As it was after commit [\d,]+$/)).toBeVisible()
  await expect(then.getByText('Waiting', { exact: false }).first()).toBeVisible()
  await accessible(page)
  await then.getByRole('link', { name: 'Show it as it is now' }).click()
  await expect(page.getByRole('article', { name: 'Request', exact: true })).toBeVisible()

  await page.getByRole('button', { name: 'Evidence' }).click()
  await accessible(page)
  const evidence = JSON.parse(await taken(page, 'Download the evidence')) as { format: string; request: string }
  expect(evidence).toMatchObject({ format: 'secrets-bridge/evidence/v1', request: request.id })

  const other = await enter('ada')
  await other.page.goto(`/requests/${request.id}`)
  await other.page.getByRole('button', { name: 'Evidence' }).hover()
  await expect(other.page.getByRole('tooltip')).toContainText('audit.read')
})
