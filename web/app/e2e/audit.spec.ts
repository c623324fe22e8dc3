import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Page } from '@playwright/test'
import { type Caller, expect, test } from './fixtures'

interface Requested {
  id: string
  state: string
  envelopes: { id: string; key: string }[]
}

interface Fact {
  id: string
  seq: number
  index: number
  type: string
  stream: string
  data: { reason?: string }
}

const secret = 'file/prod/db/password'

/** A word that nothing else has. */
const odd = () => `reason-${randomBytes(9).toString('hex')}`

/** opened is a request whose value was opened, by Dana. */
async function opened(dana: Caller, ada: Caller, reason: string): Promise<Requested> {
  const request = await dana.post<Requested>('/requests', { secret, keys: ['password'], reason })
  await ada.post(`/requests/${request.id}/approve`, { comment: 'looks right' })
  const done = await expect
    .poll(() => dana.get<Requested>(`/requests/${request.id}`), { timeout: 20_000 })
    .toMatchObject({ state: 'executed', envelopes: [{ key: 'password' }] })
    .then(() => dana.get<Requested>(`/requests/${request.id}`))
  const { x } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })
  await dana.post(`/requests/${request.id}/envelopes/${done.envelopes[0]?.id}/reveal`, { recipient: `x25519:${x}` })
  return done
}

const facts = (page: Page) => page.getByRole('table', { name: 'Facts', exact: true })

test('who opened a value is found by text and facets', async ({ caller, enter, accessible }) => {
  const [dana, ada] = [await caller('dana'), await caller('ada')]
  const reason = odd()
  const request = await opened(dana, ada, reason)
  const { page } = await enter('olu')
  await page.goto('/audit')
  await expect(facts(page).getByRole('row').nth(1)).toBeVisible()
  await expect(
    page
      .getByRole('table', { name: /Facts over time/ })
      .getByRole('row')
      .nth(1),
  ).toBeAttached()
  await accessible(page)

  await page.getByRole('textbox', { name: 'Search the facts' }).fill(request.id)
  await page
    .getByRole('list', { name: 'What happened' })
    .getByRole('button', { name: /^Value opened/ })
    .click()
  await expect(facts(page).getByRole('row')).toHaveCount(2)
  await page
    .getByRole('list', { name: 'Who' })
    .getByRole('button', { name: /^Dana Developer/ })
    .click()
  await expect(page).toHaveURL(/actor=user/)
  await expect(
    facts(page).getByRole('row', { name: `Dana Developer opened the value (key password) of ${secret}` }),
  ).toBeVisible()
  await page.getByRole('button', { name: 'Clear all' }).click()
  await expect(page).toHaveURL(/\/audit$/)
})

test('a fact opens beside the list, with all that led to it and followed', async ({ caller, enter, accessible }) => {
  const [dana, ada] = [await caller('dana'), await caller('ada')]
  const reason = odd()
  const request = await opened(dana, ada, reason)
  const { page } = await enter('olu')
  await page.goto(`/audit?stream=request/${request.id}`)
  const row = facts(page).getByRole('row', { name: `Dana Developer opened the value (key password) of ${secret}` })
  await row.focus()
  await page.keyboard.press('Enter')

  const panel = page.getByRole('dialog', { name: /^Fact / })
  await expect(panel.getByText(`opened the value (key password) of ${secret}`)).toBeVisible()
  await expect(panel.getByRole('link', { name: 'The request', exact: true })).toHaveAttribute(
    'href',
    `/requests/${request.id}`,
  )
  await expect(panel.getByRole('link', { name: 'All that concerns it' })).toHaveAttribute(
    'href',
    `/audit?secret=${encodeURIComponent(secret)}`,
  )
  await expect(panel.getByText('Command', { exact: true })).toBeHidden()
  await panel.getByText('For engineers').click()
  await expect(panel.getByText('Command', { exact: true })).toBeVisible()
  await accessible(page)
  await panel.getByRole('tab', { name: 'Correlation tree' }).click()
  const tree = panel.getByRole('list', { name: 'Correlation tree' })
  await expect(tree.getByRole('button', { name: /^Dana Developer asked to read .*start$/ })).toContainText(reason)
  await expect(tree.getByRole('button', { name: /^Ada Approver approved Dana Developer’s request/ })).toBeVisible()
  await expect(tree.locator('[aria-current]')).toContainText('opened the value')
  await accessible(page)
  await panel.getByRole('tab', { name: 'Raw JSON' }).click()
  await expect(panel.getByRole('region', { name: 'The fact as JSON' })).toContainText('sb.request.envelope_revealed.v1')
  await page.keyboard.press('Escape')
  await expect(panel).toBeHidden()
})

test('what is exported is what the list shows', async ({ caller, enter, accessible }) => {
  const [dana, ada] = [await caller('dana'), await caller('ada')]
  const request = await opened(dana, ada, odd())
  const { page } = await enter('olu')
  await page.goto(`/audit?stream=request/${request.id}`)
  await expect(page.getByRole('button', { name: 'Time: Any time' })).toBeVisible()
  const rows = facts(page).getByRole('row')
  const shown = await expect
    .poll(() => rows.count())
    .toBeGreaterThan(5)
    .then(() => rows.count())
  await page.getByRole('button', { name: 'Export' }).click()
  await accessible(page)
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download JSON Lines' }).click()
  const file = await (await download).path()
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  const taken = lines.map((line) => JSON.parse(line) as Fact)
  expect(taken).toHaveLength(shown - 1)
  const listed = await (await caller('olu')).get<{ items: Fact[] }>(
    `/audit/events?stream=request/${request.id}&limit=200`,
  )
  expect(taken.map(({ id }) => id)).toEqual(listed.items.map(({ id }) => id).reverse())
})

test('a time is chosen by its bounds, and by drawing over the histogram', async ({ enter, caller, accessible }) => {
  const dana = await caller('dana')
  await dana.post('/requests', { secret, reason: odd() })
  const { page } = await enter('olu')
  await page.goto('/audit?range=1h')
  await expect(facts(page).getByRole('row').nth(1)).toBeVisible()
  await page.getByRole('button', { name: 'Time: Last hour' }).click()
  await accessible(page)
  const dialog = page.getByRole('dialog', { name: 'Choose a time' })
  await dialog.getByLabel('From').fill('2020-01-01T10:00')
  await dialog.getByLabel('Until').fill('2020-01-01T09:00')
  await expect(dialog.getByText('The end comes before the beginning.')).toBeVisible()
  await dialog.getByLabel('Until').fill('2020-01-02T10:00')
  await dialog.getByRole('button', { name: 'Show this time' }).click()
  await expect(page).toHaveURL(/since=2020-01-01T10%3A00/)
  await expect(page.getByRole('heading', { name: 'Nothing like that happened' })).toBeVisible()
  await accessible(page)
  await page.getByRole('button', { name: 'Show everything' }).click()
  await expect(facts(page).getByRole('row').nth(1)).toBeVisible()

  const plot = page.locator('.u-over')
  await plot.scrollIntoViewIfNeeded()
  const box = (await plot.boundingBox()) as { x: number; y: number; width: number; height: number }
  await page.mouse.move(box.x + box.width * 0.8, box.y + 20)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width - 1, box.y + 30, { steps: 5 }) // what is newest is in the last bar
  await page.mouse.up()
  await expect(page).toHaveURL(/since=.*until=/)
  await expect(facts(page).getByRole('row').nth(1)).toBeVisible()
})

test('what comes in meanwhile is told, and shown when somebody wants it', async ({ enter, caller }) => {
  const dana = await caller('dana')
  const { page } = await enter('olu')
  const reason = odd()
  await page.goto(`/audit?text=${reason}`)
  await expect(page.getByRole('heading', { name: 'Nothing like that happened' })).toBeVisible()
  await dana.post('/requests', { secret, reason })
  await page.getByRole('button', { name: '1 new fact' }).click()
  await expect(facts(page).getByRole('row', { name: new RegExp(reason) })).toBeVisible()
  await expect(page.getByRole('button', { name: '1 new fact' })).toBeHidden()
})

test('a view is kept under a name in this browser', async ({ enter, accessible }) => {
  const { page } = await enter('olu')
  await page.goto('/audit?outcome=denied&range=7d')
  await page.getByRole('button', { name: 'Saved views' }).click()
  await page.getByRole('menuitem', { name: 'Save this view…' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('Denials of the week')
  await accessible(page)
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.goto('/audit')
  await page.getByRole('button', { name: 'Saved views' }).click()
  await page.getByRole('menuitem', { name: 'Denials of the week' }).click()
  await expect(page).toHaveURL(/outcome=denied&range=7d/)
  await expect(page.getByRole('button', { name: 'Take off the filter: Denied' })).toBeVisible()
})

test('who may not read the audit is told why, and nothing is asked', async ({ enter, accessible }) => {
  const { page } = await enter('dana')
  const asked: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  await page.goto('/audit')
  await expect(page.getByRole('heading', { name: 'You may not see this' })).toBeVisible()
  await expect(page.getByText('None of your roles lets you; ask an administrator.').first()).toBeVisible()
  await accessible(page)
  expect(asked.filter((url) => url.includes('/audit/'))).toEqual([])
})
