import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Page } from '@playwright/test'
import { expect, test } from './fixtures'

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
