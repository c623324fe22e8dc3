// What somebody does with a request of their own: they ask, watch, and open a value once; and what another
// team does for them. Every secret here is made by its test.
import { randomUUID } from 'node:crypto'
import type { Page } from '@playwright/test'
import { type Caller, expect, test } from './fixtures'
import { strings } from './heap'
import { password } from './stack'
import { code } from './totp'
import { invite, until } from './world'

interface Told {
  state: string
  actions: { approve: { allowed: boolean } }
  envelopes: { id: string; key: string; state: string }[]
}

// Each of them makes secrets, which agents write and read: on a busy machine that takes its time.
test.describe.configure({ timeout: 120_000 })

/** A button that is down for longer is held, in milliseconds. */
const longerThanAPress = 400

const unique = () => randomUUID().slice(0, 8)

/** A value that is like no other text. */
const canary = () => `Qx7-${randomUUID()}-${randomUUID()}`

/** approve decides as soon as it can: an agent looks at the secret of a change first. */
async function approve(who: Caller, id: string) {
  await expect
    .poll(async () => (await who.get<Told>(`/requests/${id}`)).actions.approve.allowed, { timeout: 30_000 })
    .toBe(true)
  await who.post(`/requests/${id}/approve`, {})
}

/** sent is the id of the request whose page is shown after it was sent. */
async function sent(page: Page): Promise<string> {
  await expect(page).toHaveURL(/\/requests\/r_[0-9a-z]+$/)
  return page.url().split('/').at(-1) as string
}

const send = (page: Page) => page.getByRole('button', { name: 'Send the request' }).click()

/** made creates a secret by the form and has it approved. */
async function made(page: Page, dana: Caller, ada: Caller, secret: string, values: Record<string, string>) {
  await page.goto(`/requests/new?operation=create&secret=${secret}`)
  for (const [index, [key, value]] of Object.entries(values).entries()) {
    if (index > 0) await page.getByRole('button', { name: 'Another key' }).click()
    await page.getByRole('combobox', { name: `Name of key ${index + 1}` }).fill(key)
    await page.getByLabel(`Value of ${key}`, { exact: true }).fill(value)
  }
  await page.getByLabel('Reason').fill('create it for a test of the browser')
  await send(page)
  const id = await sent(page)
  await approve(ada, id)
  await until(dana, id, 'executed')
}

/** read asks to read a secret by the form, and waits until its values are there. */
async function read(page: Page, ada: Caller, secret: string): Promise<string> {
  await page.goto(`/requests/new?secret=${secret}`)
  await page.getByLabel('Reason').fill('restore the backup of Monday')
  await send(page)
  const id = await sent(page)
  await approve(ada, id)
  await expect(page.getByRole('button', { name: /^Open / }).first()).toBeVisible({ timeout: 30_000 })
  return id
}

/** Sent is a call as it leaves the page. */
interface Sent {
  to: string
  key: string
  body: string
}

/** sentBy are the calls of a page, which Playwright does not see the bodies of. */
async function sentBy(page: Page): Promise<Sent[]> {
  const calls: Sent[] = []
  await page.exposeFunction('tellSent', (call: Sent) => calls.push(call))
  await page.addInitScript(() => {
    const real = window.fetch
    window.fetch = async (...args) => {
      const call = new Request(...args)
      await (window as unknown as { tellSent(call: Sent): Promise<void> }).tellSent({
        to: `${call.method} ${new URL(call.url).pathname}`,
        key: call.headers.get('Idempotency-Key') ?? '',
        body: await call.clone().text(),
      })
      return real(call)
    }
  })
  return calls
}

test('a value is created, read, opened once, and then nowhere', async ({ enter, caller, accessible }) => {
  const [dana, ada] = await Promise.all([caller('dana'), caller('ada')])
  const { page, context } = await enter('dana', { permissions: ['clipboard-read', 'clipboard-write'] })
  const value = canary()
  const secret = `file/staging/asking-${unique()}/app`
  const bodies = await sentBy(page)
  await made(page, dana, ada, secret, { token: value })

  // The form says what will happen before anything is sent.
  await page.goto(`/requests/new?secret=${secret}`)
  const verdict = page.getByRole('region', { name: 'What will happen' })
  await expect(verdict).toContainText('Needs an approval from anybody with the role approver')
  await expect(page.getByText('Say what you will do with it')).toBeVisible()
  await page.getByLabel('Reason').fill('restore the backup of Monday, OPS-42')
  await page.getByRole('button', { name: 'Use OPS-42 as the ticket' }).click()
  await expect(page.getByText('It helps whoever decides')).toBeVisible()
  await accessible(page)
  await send(page)
  const id = await sent(page)

  // It is watched live while somebody else decides; another tab opens the same dialog.
  await approve(ada, id)
  await page.getByRole('button', { name: 'Open token' }).click({ timeout: 30_000 })
  const dialog = page.getByRole('dialog', { name: 'Open a value once' })
  await accessible(page)
  const late = await context.newPage()
  await late.goto(`/requests/${id}`)
  await late.getByRole('button', { name: 'Open token' }).click()
  await dialog.getByRole('button', { name: 'Open it now' }).click()
  const hold = dialog.getByRole('button', { name: /^(Hold to show|Hide)$/ })
  await expect(hold).toBeVisible()
  const shown = dialog.getByRole('region', { name: /The value/ })
  await expect(shown).not.toContainText(value)

  // By the pointer for as long as it is held, by a short press until the next, and never behind another window.
  await hold.hover()
  const since = Date.now()
  await page.mouse.down()
  await expect(shown).toHaveText(value)
  await expect(dialog.getByText('The time stands still')).toBeVisible()
  await expect.poll(() => Date.now() - since).toBeGreaterThan(longerThanAPress)
  await page.mouse.up()
  await expect(dialog.getByText(/^Gone in/)).toBeVisible()
  await expect(shown).not.toContainText(value)
  await hold.press('Enter')
  await expect(shown).toHaveText(value)
  await page.evaluate(() => window.dispatchEvent(new Event('blur')))
  await expect(shown).not.toContainText(value)

  await dialog.getByRole('button', { name: 'Copy without showing' }).click()
  await expect(dialog.getByRole('button', { name: 'Copied' })).toBeVisible()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(value)
  await dialog.getByRole('button', { name: 'Clear clipboard' }).click()
  await expect(dialog.getByText('Your clipboard is empty now')).toBeVisible()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('')
  await dialog.getByRole('button', { name: 'Copy without showing' }).click()
  await dialog.getByRole('button', { name: 'Destroy it now' }).click()
  await expect(dialog.getByText('The value is gone')).toBeVisible()
  await expect(dialog).toContainText('Opened by Dana Developer')
  await expect(shown).toHaveCount(0)
  await accessible(page)
  await dialog.getByRole('button', { name: 'Close' }).last().click()
  await expect(page.getByText(/by Dana Developer, just now/)).toBeVisible()
  await expect(dialog).toHaveCount(0)
  await expect(page.getByText('It was shown once and is destroyed.')).toBeVisible()
  await expect(page.getByRole('link', { name: 'Ask again' })).toHaveAttribute('href', `/requests/new?from=${id}`)
  // The dialog is gone, and the copy is not: the page can still take it away.
  await page.getByRole('button', { name: 'Clear clipboard' }).click()
  await expect(page.getByText('The value is still in your clipboard')).toHaveCount(0)
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('')

  // A second opening says who was first.
  const second = late.getByRole('dialog', { name: 'Open a value once' })
  const again = second.getByRole('button', { name: 'Open it now' })
  if (await again.isVisible()) await again.click()
  await expect(second).toContainText('Dana Developer opened it')
  await late.close()

  // Nothing of it is left, in this page or on its way.
  expect(bodies.filter(({ body }) => body.includes('"sealed":"')).length).toBeGreaterThan(0)
  expect(bodies.filter((call) => JSON.stringify(call).includes(value))).toEqual([])
  const kept = await page.evaluate(async () => {
    const databases = await indexedDB.databases()
    return JSON.stringify([
      { ...localStorage },
      { ...sessionStorage },
      databases,
      history.state,
      location.href,
      document.documentElement.outerHTML,
      [...document.querySelectorAll('input, textarea')].map((field) => (field as HTMLInputElement).value),
    ])
  })
  expect(kept).not.toContain(value)
  expect(await strings(page, value), 'strings in the memory of the page').toEqual([])
})

test('keys of a secret are set and removed, sealed, and a later read has the new values', async ({
  enter,
  caller,
  accessible,
}) => {
  const [dana, ada] = await Promise.all([caller('dana'), caller('ada')])
  const { page } = await enter('dana')
  const secret = `file/staging/asking-${unique()}/db`
  const [old, fresh] = [canary(), canary()]
  await made(page, dana, ada, secret, { password: old, legacy: old })

  await page.goto(`/requests/new?operation=patch&secret=${secret}`)
  await page.getByRole('combobox', { name: 'Name of key 1' }).fill('password')
  const typed = page.getByLabel('Value of password', { exact: true })
  await typed.fill(fresh)
  await expect(typed).toHaveCSS('-webkit-text-security', 'disc')
  await page.getByRole('button', { name: 'Show what you type for password' }).click()
  await expect(typed).toHaveCSS('-webkit-text-security', 'none')
  await page.getByRole('button', { name: 'Hide what you type for password' }).click()
  await page.getByRole('button', { name: 'Another key' }).click()
  await page.getByRole('combobox', { name: 'Name of key 2' }).fill('legacy')
  await page.getByLabel('What to do with legacy').selectOption('Remove')
  await page.getByRole('button', { name: 'Another key' }).click()
  await page.getByRole('combobox', { name: 'Name of key 3' }).fill('limits')
  await page.getByLabel('Kind of the value of limits').selectOption('JSON')
  await page.getByLabel('Value of limits', { exact: true }).fill('{"rows": 5')
  await page.getByLabel('Reason').fill('the old password leaked')
  await send(page)
  await expect(page.getByText('This is no JSON')).toBeVisible()
  await accessible(page)
  await page.getByLabel('Value of limits', { exact: true }).fill('{"rows": 5, "free": true}')
  await send(page)
  const id = await sent(page)

  const reviewer = await enter('ada')
  await reviewer.page.goto(`/requests/${id}`)
  for (const key of ['password', 'legacy', 'limits']) {
    await expect(reviewer.page.getByRole('tabpanel').getByText(key, { exact: true })).toBeVisible()
  }
  expect(await reviewer.page.content()).not.toContain(fresh)
  await approve(ada, id)
  await until(dana, id, 'executed')

  await read(page, ada, secret)
  await expect(page.getByRole('button', { name: 'Open legacy' })).toHaveCount(0)
  for (const [key, text] of [
    ['password', fresh],
    ['limits', '{\n  "rows": 5,\n  "free": true\n}'],
  ] as const) {
    await page.getByRole('button', { name: `Open ${key}` }).click()
    const dialog = page.getByRole('dialog', { name: 'Open a value once' })
    await dialog.getByRole('button', { name: 'Open it now' }).click()
    await dialog.getByRole('button', { name: 'Hold to show' }).press('Enter')
    await expect(dialog.getByRole('region', { name: 'The value' })).toHaveText(text, { useInnerText: true })
    if (text === fresh) await accessible(page)
    await page.keyboard.press('Escape')
    await expect(dialog).toHaveCount(0)
  }
})

test('another team fills values in, or says why not', async ({ enter, caller, accessible }) => {
  const [dana, ada, olu] = await Promise.all([caller('dana'), caller('ada'), caller('olu')])
  const team = `keepers-${unique()}`
  const keeper = await invite(olu, 'Kim Keeper', [])
  await apply(olu, [{ kind: 'Team', name: team, spec: { members: [keeper.id] } }])
  await olu.post(`/people/${keeper.id}/grants`, { role: 'value-provider', scope: { team } })
  const { page } = await enter('dana')
  const secret = `file/staging/asking-${unique()}/bank`
  const value = canary()
  await made(page, dana, ada, secret, { api_key: 'the first one' })
  const ask = async () => {
    await page.goto(`/requests/new?operation=patch&secret=${secret}`)
    await page.getByRole('combobox', { name: 'Name of key 1' }).fill('api_key')
    await page.getByLabel('Another team fills in the values').check()
    await page.getByRole('combobox', { name: 'Team' }).fill(team)
    await page.getByLabel('Within').selectOption('8 hours')
    await page.getByLabel('Reason').fill('the key of the new contract')
    await accessible(page)
    await send(page)
    return sent(page)
  }
  const [filled, refused] = [await ask(), await ask()]

  const other = await enter({ email: keeper.email, password: keeper.password })
  await other.page.goto(`/requests/${filled}`)
  await other.page.getByRole('button', { name: 'Fill in values…' }).click()
  const dialog = other.page.getByRole('dialog', { name: 'Fill in values' })
  await dialog.getByRole('button', { name: 'Seal and send' }).click()
  await expect(dialog.getByText('Type the new value.')).toBeVisible()
  await dialog.getByLabel('Value of api_key', { exact: true }).fill(value)
  await dialog.getByLabel('Comment').fill('valid from Monday on')
  await accessible(other.page)
  await dialog.getByRole('button', { name: 'Seal and send' }).click()
  await expect(dialog).toHaveCount(0)
  await approve(ada, filled)
  await until(dana, filled, 'executed')
  expect(await other.page.content()).not.toContain(value)

  await other.page.goto(`/requests/${refused}`)
  await other.page.getByRole('button', { name: 'Fill in values…' }).click()
  await dialog.getByText('Refuse', { exact: true }).click()
  const no = dialog.getByRole('button', { name: 'Refuse', exact: true })
  await expect(no).toHaveAttribute('aria-disabled', 'true')
  await dialog.getByLabel('Why there will be no values').fill('we rotate this one ourselves on Monday')
  await no.click()
  await expect(dialog).toHaveCount(0)
  await until(dana, refused, 'refused')
})

test('what cannot wait is done without approval, with a reason of its own and a review', async ({
  enter,
  caller,
  accessible,
}) => {
  const [dana, ada, olu] = await Promise.all([caller('dana'), caller('ada'), caller('olu')])
  const name = `asking-${unique()}`
  const secret = `file/staging/${name}/db`
  const { page } = await enter('dana')
  await made(page, dana, ada, secret, { password: canary() })
  const { id: me } = await dana.get<{ id: string }>('/me')
  const { id: reviewer } = await ada.get<{ id: string }>('/me')
  await apply(olu, [
    {
      kind: 'Workflow',
      name,
      spec: {
        steps: [{ id: 'one', approvals: 1, from: { roles: ['approver'] } }],
        justification: { min_length: 12, ticket: 'OPS-[0-9]+' },
        break_glass: {
          from: { people: [me] },
          review: { people: [reviewer] },
          review_within_seconds: 3600,
          min_length: 20,
        },
      },
    },
    {
      kind: 'Rule',
      name,
      spec: { scope: { connection: 'file', prefix: `staging/${name}` }, effect: 'require', workflow: name },
    },
  ])
  await page.goto(`/requests/new?secret=${secret}`)
  await expect(page.getByText('Needed here, in the form OPS-[0-9]+.')).toBeVisible()
  await page.getByLabel('Reason').fill('look')
  await expect(page.getByText('The workflow wants 12 characters at least; 8 are missing.')).toBeVisible()
  await send(page)
  await expect(page.getByText('Say in at least 12 characters')).toBeVisible()
  await page.getByLabel('Reason').fill('the shop is down tonight')
  await send(page)
  await expect(page.getByLabel('Ticket')).toHaveAttribute('aria-invalid', 'true')
  await page.getByLabel('Ticket').fill('OPS-1')
  await page.getByLabel('Do it without approval').check()
  await expect(page.getByText('within 1 h whether it was justified')).toBeVisible()
  const act = page.getByRole('button', { name: 'Do it without approval' })
  await page.getByLabel('Why it cannot wait').fill('nobody answers')
  await act.click()
  await expect(page.getByText(/20 characters/)).toBeVisible()
  await page.getByLabel('Why it cannot wait').fill('nobody of the approvers answers the phone')
  await accessible(page)
  await act.click()
  const id = await sent(page)
  await expect(page.getByText('This went without approval')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Open password' })).toBeVisible({ timeout: 30_000 })
  await ada.post(`/requests/${id}/review`, { outcome: 'justified', comment: 'the shop was down, INC-7' })
  await expect(page.getByText(/Ada Approver reviewed it/)).toBeVisible()
})

test('where opening needs a second factor nothing is used up before it is proved', async ({ enter, caller }) => {
  const [dana, ada, olu] = await Promise.all([caller('dana'), caller('ada'), caller('olu')])
  const name = `asking-${unique()}`
  const secret = `file/staging/${name}/db`
  const value = canary()
  const maker = await enter('dana')
  await made(maker.page, dana, ada, secret, { password: value })
  const steps = [{ id: 'one', approvals: 1, from: { roles: ['approver'] } }]
  await apply(olu, [
    { kind: 'Workflow', name, spec: { steps, step_up: { reveal: true } } },
    {
      kind: 'Rule',
      name,
      spec: { scope: { connection: 'file', prefix: `staging/${name}` }, effect: 'require', workflow: name },
    },
  ])
  const person = await invite(olu, 'Rita Reader', [{ role: 'developer' }])
  const rita = { email: person.email, password: person.password }
  const phone = await caller(rita)
  const app = await phone.post<{ id: string; secret: string }>('/me/factors/totp', { name: 'phone' })
  await phone.post(`/me/factors/totp/${app.id}/confirm`, { code: code(app.secret, 0) })

  const { page } = await enter(rita)
  await page.goto(`/requests/new?secret=${secret}`)
  await expect(page.getByText('Opened with your second factor')).toBeVisible()
  await read(page, ada, secret)
  await page.getByRole('button', { name: 'Open password' }).click()
  const dialog = page.getByRole('dialog', { name: 'Open a value once' })
  const proof = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await dialog.getByRole('button', { name: 'Open it now' }).click()
  await expect(proof).toBeVisible()
  await page.keyboard.press('Escape')
  await dialog.getByRole('button', { name: 'Open it now' }).click()
  await proof.getByLabel('Code of your authenticator app').fill(code(app.secret, 1))
  await proof.getByRole('button', { name: 'Confirm' }).click()
  await dialog.getByRole('button', { name: 'Hold to show' }).press('Enter')
  await expect(dialog.getByRole('region', { name: 'The value' })).toHaveText(value)
})

test('a session that ends under a form keeps all that was typed, and so does a wrong turn', async ({
  enter,
  accessible,
}) => {
  const { page, context } = await enter('dana')
  const value = canary()
  const calls = await sentBy(page)
  await page.goto(`/requests/new?operation=create&secret=file/staging/asking-${unique()}/app`)
  await page.getByRole('combobox', { name: 'Name of key 1' }).fill('token')
  await page.getByLabel('Value of token', { exact: true }).fill(value)
  await page.getByLabel('Reason').fill('create it for a test of the browser')
  await page.getByRole('link', { name: 'Inventory' }).click()
  const leave = page.getByRole('dialog', { name: 'Leave this request?' })
  await accessible(page)
  await leave.getByRole('button', { name: 'Stay here' }).click()
  await expect(leave).toHaveCount(0)

  await context.clearCookies()
  // Whatever the page finds out first: the call is made as well if the question is over the form already.
  await page.getByRole('button', { name: 'Send the request' }).dispatchEvent('click')
  const ended = page.getByRole('dialog', { name: 'Your session has ended' })
  await ended.getByLabel('Password', { exact: true }).fill(password)
  await ended.getByRole('button', { name: 'Sign in' }).click()
  await expect(ended).toHaveCount(0)
  await expect(page.getByLabel('Value of token', { exact: true })).toHaveValue(value)
  await send(page)
  await sent(page)
  const keys = calls.filter(({ to }) => to === 'POST /api/v1/requests').map(({ key }) => key)
  expect(keys).toHaveLength(2)
  expect(new Set(keys).size).toBe(2) // what was sealed counts for one call
  expect(await strings(page, value), 'strings in the memory of the page').toEqual([])
  expect(calls.filter((call) => JSON.stringify(call).includes(value))).toEqual([])
})

test('a secret is found by its labels, its keys by an agent, and the last request is repeated', async ({
  enter,
  caller,
}) => {
  const olu = await caller('olu')
  const scan = await olu.post<{ id: string }>('/jobs', { type: 'discover', connection: 'file' }).catch(() => undefined)
  if (scan) {
    await expect
      .poll(async () => (await olu.get<{ state: string }>(`/jobs/${scan.id}`)).state, { timeout: 60_000 })
      .toBe('finished')
  }
  // Somebody of their own: what was asked for last is nobody else's then.
  const rhea = await invite(olu, 'Rhea Repeats', [{ role: 'developer' }])
  const { page } = await enter({ email: rhea.email, password: rhea.password })
  await page.goto('/requests/new')
  const secret = page.getByRole('combobox', { name: 'Secret' })
  await secret.fill('Team:billing stripe')
  await page.getByRole('option', { name: /prod\/payments\/stripe/ }).click()
  await expect(secret).toHaveValue('file/prod/payments/stripe')
  await secret.press('Enter') // takes the path, and does not send a form that is not filled in
  await expect(page.getByText('Say in a sentence why you need this.')).toHaveCount(0)
  await page.getByRole('button', { name: 'Look for the names of its keys' }).click()
  await expect(page.getByText('It has 3 keys.')).toBeVisible({ timeout: 30_000 })
  const keys = page.getByRole('textbox', { name: 'Keys' }).or(page.getByRole('combobox', { name: 'Keys' }))
  await keys.click()
  await page.getByRole('option', { name: 'api_key' }).click()
  await page.getByLabel('Reason').fill('compare the key with the one of the bank')
  await send(page)
  await sent(page)
  await page.goto('/requests/new')
  await page.getByRole('button', { name: 'Repeat last' }).click()
  await expect(page.getByLabel('Reason')).toHaveValue('compare the key with the one of the bank')
  await expect(secret).toHaveValue('file/prod/payments/stripe')

  await secret.fill('file/nowhere/at/all')
  await expect(page.getByText('No scan has met this secret yet, so type the names.')).toBeVisible()
  await secret.fill('nowhere/at/all')
  await expect(page.getByText('This cannot be asked for')).toBeVisible()
})

test('requests are listed by what they wait for, also on a phone, and whoever may not see them is told', async ({
  enter,
  caller,
  accessible,
}) => {
  const [dana, olu] = await Promise.all([caller('dana'), caller('olu')])
  const secret = `file/staging/asking-${unique()}/list`
  await dana.post('/requests', { secret, reason: 'to have something in a list' })
  const { page } = await enter('ada')
  await page.goto(`/requests?secret=${secret}`)
  const table = page.getByRole('table', { name: 'Requests' })
  await expect(table.getByRole('row')).toHaveCount(2)
  await accessible(page)
  await view(page, 'Waiting for me').click()
  await expect(page).toHaveURL(/show=asked/)
  await expect(table.getByRole('row')).toHaveCount(2)
  await view(page, 'Done').click()
  await expect(page.getByText('No request fits these filters')).toBeVisible()
  await page.getByRole('button', { name: 'Clear the filters' }).click()
  await page.getByRole('button', { name: 'Filter', exact: true }).click()
  await page.getByRole('textbox', { name: 'Secret' }).fill(secret)
  await page.getByRole('combobox', { name: 'Operation' }).selectOption('Read')
  await accessible(page)
  await page.getByRole('button', { name: 'Apply' }).click()
  await view(page, 'Open').click()
  await page.setViewportSize({ width: 390, height: 844 })
  await expect(table.getByRole('row')).toHaveCount(2)
  await accessible(page)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
  await table.getByRole('row').nth(1).focus()
  await page.keyboard.press('Enter')
  await sent(page)

  const stranger = await invite(olu, 'Sam Stranger', [])
  const nobody = await enter({ email: stranger.email, password: stranger.password })
  for (const path of ['/requests', '/requests/new']) {
    await nobody.page.goto(path)
    await expect(nobody.page.getByText(/You may not (see requests|ask for secrets)/).first()).toBeVisible()
    await accessible(nobody.page)
  }
})

/** view is a way to look at requests, as it is seen: the radio button of it is out of sight. */
const view = (page: Page, label: string) =>
  page.getByRole('radiogroup', { name: 'Which requests' }).getByText(label, { exact: true })

interface Written {
  kind: string
  name: string
  spec: object
}

/** apply changes the governance, which others change as well at the same time. */
async function apply(olu: Caller, set: Written[]) {
  await expect(async () => {
    const { version } = await olu.get<{ version: number }>('/governance')
    await olu.post('/governance/apply', { version, note: 'for a test of the browser', set })
  }).toPass()
}
