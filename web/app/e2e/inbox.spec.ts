// The inbox: what waits for somebody, and how they decide on it.
import { randomUUID } from 'node:crypto'
import type { Page, Request as Sent } from '@playwright/test'
import { type Caller, expect, test } from './fixtures'
import { code } from './totp'
import { ask, type Citizen, invite, until } from './world'

/** Longer than a verdict can be taken back, and shorter than a line may be silent, in milliseconds. */
const delay = 6_000

interface Seen {
  state: string
  votes: { decision: string; comment?: string; approver: { name: string } }[]
}

/** A corner of the demo store that only this test knows, with requests in it and people who decide on them. */
async function corner(callers: { olu: Caller; dana: Caller }, count: number, names: string[]) {
  const tag = `corner-${randomUUID().slice(0, 8)}`
  const deciders: Citizen[] = []
  for (const name of names) {
    deciders.push(await invite(callers.olu, name, [{ role: 'approver', scope: { connection: 'file', prefix: tag } }]))
  }
  const ids: string[] = []
  for (let n = 1; n <= count; n++) ids.push(await ask(callers.dana, `file/${tag}/db-${n}`, `look into case ${n}`))
  return { tag, ids, deciders, decider: deciders[0] as Citizen }
}

/** posts are the verdicts that a page sends from now on. */
function posts(page: Page): Sent[] {
  const sent: Sent[] = []
  page.on('request', (request) => {
    if (request.method() === 'POST' && /\/(approve|reject)$/.test(request.url())) sent.push(request)
  })
  return sent
}

const row = (page: Page, name: string) => page.getByRole('link', { name })
const pane = (page: Page) => page.getByRole('region', { name: 'The request that you are at' })

test('ten requests are cleared without a mouse', async ({ enter, caller, accessible }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { ids, decider } = await corner({ olu, dana }, 10, ['Kim Keyboard'])
  const { page } = await enter(decider)
  const sent = posts(page)
  await page.clock.install()
  await page.goto('/inbox')
  await expect(page.getByRole('status').getByText('10 things wait')).toBeVisible()
  await accessible(page)
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key)
  }
  // Three together, from the top.
  await press('j', 'k', 'x', 'j', 'x', 'j', 'x', 'Shift+A')
  await expect(page.getByText('7 things wait')).toBeVisible()
  await page.clock.fastForward(delay)
  // One by one; the next has the focus each time.
  for (const left of [6, 5, 4]) {
    await press('a')
    await expect(page.getByText(left === 1 ? '1 thing waits' : `${left} things wait`)).toBeVisible()
    await expect(page.locator('[data-row]:focus')).toHaveAttribute('aria-current', 'true')
  }
  // Typing is no command.
  await press('/')
  await page.keyboard.type('db-2')
  await expect(page.getByText('1 thing waits')).toBeVisible()
  const filter = page.getByRole('textbox', { name: /^Filter by/ })
  await filter.press('ControlOrMeta+a')
  await filter.press('Delete')
  await expect(filter).toHaveValue('')
  await filter.press('Enter')
  await expect(page.getByText('4 things wait')).toBeVisible()
  await expect(page.locator('[data-row]:focus')).toBeVisible()
  // A denial has its reason.
  await press('d')
  const dialog = page.getByRole('dialog', { name: 'Deny this request' })
  await expect(dialog.getByRole('textbox')).toBeFocused()
  await page.keyboard.type('use the replica')
  await press('Tab', 'Tab', 'Enter')
  await expect(page.getByText('3 things wait')).toBeVisible()
  await press('c')
  await expect(page.getByRole('dialog', { name: 'Approve with a comment' }).getByRole('textbox')).toBeFocused()
  await page.keyboard.type('for today only')
  await press('Tab', 'Tab', 'Enter')
  await expect(page.getByText('2 things wait')).toBeVisible()
  await press('a')
  await expect(page.getByText('1 thing waits')).toBeVisible()
  await press('a')
  await expect(page.getByRole('heading', { name: 'Nothing waits for you' })).toBeVisible()
  await page.clock.fastForward(delay)
  const seen = () => Promise.all(ids.map((id) => dana.get<Seen>(`/requests/${id}`)))
  await expect.poll(async () => (await seen()).map(({ votes }) => votes.length)).toEqual(ids.map(() => 1))
  const votes = (await seen()).flatMap((request) => request.votes)
  expect(votes.filter((vote) => vote.decision === 'rejected').map((vote) => vote.comment)).toEqual(['use the replica'])
  expect(votes.map((vote) => vote.comment)).toContain('for today only')
  expect(sent).toHaveLength(10)
  await expect(page.getByRole('heading', { name: 'What you decided last' })).toBeVisible()
  await accessible(page)
})

test('a verdict that is taken back in time is never sent', async ({ enter, caller }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { ids, decider } = await corner({ olu, dana }, 2, ['Uma Undo'])
  const { page } = await enter(decider)
  const sent = posts(page)
  await page.clock.install()
  await page.goto('/inbox')
  await row(page, 'db-1').click()
  await expect(pane(page).getByRole('heading', { level: 2 })).toContainText('db-1')
  await page.keyboard.press('a')
  await page.getByRole('alert').getByRole('button', { name: 'Undo' }).click()
  await expect(page.getByText('2 things wait')).toBeVisible()
  await page.clock.fastForward(2 * delay)
  await expect(page.getByText('2 things wait')).toBeVisible()
  expect(sent).toEqual([])
  // By the keyboard, and then for good by leaving the page.
  await page.keyboard.press('a')
  await expect(page.getByText('1 thing waits')).toBeVisible()
  await page.keyboard.press('z')
  await expect(page.getByText('2 things wait')).toBeVisible()
  expect(sent).toEqual([])
  await row(page, 'db-1').click()
  await page.getByRole('button', { name: 'Approve', exact: true }).click()
  await expect(page.getByText('1 thing waits')).toBeVisible()
  await page.goto('about:blank')
  const [first] = ids
  await expect.poll(async () => (await dana.get<Seen>(`/requests/${first}`)).votes.length).toBe(1)
  expect((await dana.get<Seen>(`/requests/${ids[1]}`)).votes).toEqual([])
})

test('who comes second is told by whom it was decided, and sees it at once', async ({ enter, caller }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { ids, deciders } = await corner({ olu, dana }, 1, ['Fay First', 'Sam Second'])
  const [fay, sam] = await Promise.all(deciders.map((person) => enter(person)))
  if (!fay || !sam) throw new Error('two people decide')
  for (const { page } of [fay, sam]) {
    await page.clock.install()
    await page.goto('/inbox')
    await expect(pane(page).getByText('Live')).toBeVisible()
  }
  await sam.page.keyboard.press('a')
  await expect(sam.page.getByText('Approving')).toBeVisible()
  await fay.page.keyboard.press('a')
  await fay.page.clock.fastForward(delay)
  await expect.poll(async () => (await dana.get<Seen>(`/requests/${ids[0]}`)).votes.length).toBe(1)
  await sam.page.clock.fastForward(delay)
  const told = sam.page.getByRole('alert').filter({ hasText: 'Your approval was not taken' })
  await expect(told).toContainText('Fay First approved it.')
  // Where it is open, it says so without a reload.
  const watcher = await enter('dana')
  await watcher.page.goto(`/requests/${ids[0]}`)
  await expect(watcher.page.getByRole('region', { name: 'What people said' })).toContainText('Fay First')
})

test('a request that somebody else decides changes before one’s eyes', async ({ enter, caller }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { ids, deciders } = await corner({ olu, dana }, 1, ['Vera Viewer', 'Otto Other'])
  const [vera, otto] = deciders as [Citizen, Citizen]
  const { page } = await enter(vera)
  await page.goto(`/inbox?request=${ids[0]}`)
  await expect(pane(page).getByText('Waiting for approval')).toBeVisible()
  const other = await caller(otto)
  await other.post(`/requests/${ids[0]}/reject`, { comment: 'ask the owners first' })
  await expect(pane(page).getByText('Denied by Otto Other')).toBeVisible()
  await expect(pane(page).getByText('ask the owners first')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Approve', exact: true })).toHaveCount(0)
})

test('a denial needs a reason', async ({ enter, caller, accessible }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { ids, decider } = await corner({ olu, dana }, 1, ['Rae Reason'])
  const { page } = await enter(decider)
  const sent = posts(page)
  await page.goto('/inbox')
  await pane(page).getByRole('button', { name: 'Deny' }).click()
  const dialog = page.getByRole('dialog', { name: 'Deny this request' })
  await expect(dialog.getByRole('button', { name: 'Deny' })).toBeDisabled()
  await accessible(page)
  await dialog.getByRole('textbox').fill('   ')
  await expect(dialog.getByRole('button', { name: 'Deny' })).toBeDisabled()
  await dialog.getByRole('textbox').fill('not on a Friday')
  await dialog.getByRole('button', { name: 'Deny' }).click()
  await expect(dialog).toBeHidden()
  const denied = () => dana.get<Seen>(`/requests/${ids[0]}`)
  await expect.poll(async () => (await denied()).state).toBe('rejected')
  expect((await denied()).votes).toMatchObject([{ comment: 'not on a Friday' }])
  expect(sent).toHaveLength(1)
})

test('a broken line is said, and loses no verdict', async ({ enter, caller }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { ids, decider } = await corner({ olu, dana }, 1, ['Lou Line'])
  const { page, context } = await enter(decider)
  await page.clock.install()
  await page.goto(`/requests/${ids[0]}`)
  await expect(page.getByText('Live')).toBeVisible()
  await page.keyboard.press('a') // and not yet: what shows messages is loaded with the first
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(page.getByRole('button', { name: 'Undo' })).toBeHidden()
  await context.setOffline(true)
  await expect(page.getByText('Reconnecting; this may be old')).toBeVisible()
  await page.keyboard.press('a')
  await page.clock.fastForward(delay)
  await expect(page.getByRole('alert')).toContainText('The server cannot be reached now')
  await page.clock.fastForward(delay)
  expect((await dana.get<Seen>(`/requests/${ids[0]}`)).votes).toEqual([])
  await context.setOffline(false)
  await expect.poll(async () => (await dana.get<Seen>(`/requests/${ids[0]}`)).votes.length).toBe(1)
  await expect(page.getByText('Live')).toBeVisible()
  await expect(page.getByRole('region', { name: 'What people said' })).toContainText('Lou Line')
})

test('a verdict is given on a phone', async ({ enter, caller, accessible }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { ids, decider } = await corner({ olu, dana }, 2, ['Pia Phone'])
  const { page } = await enter(decider, { viewport: { width: 390, height: 844 }, hasTouch: true })
  await page.goto('/inbox')
  await expect(row(page, 'db-1')).toBeVisible()
  await accessible(page)
  await row(page, 'db-1').tap()
  await expect(page.getByRole('heading', { level: 2 })).toContainText('db-1')
  await expect(row(page, 'db-2')).toBeHidden()
  await accessible(page)
  await page.getByRole('button', { name: 'Back to the inbox' }).tap()
  await row(page, 'db-1').tap()
  await page.getByRole('button', { name: 'Approve', exact: true }).tap()
  await expect(page.getByRole('heading', { level: 2 })).toContainText('db-2')
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
  expect(wide).toBeLessThanOrEqual(0)
  await expect.poll(async () => (await dana.get<Seen>(`/requests/${ids[0]}`)).votes.length).toBe(1)
})

test('the page of a request tells all of it, and so do the keys', async ({ enter, caller, accessible }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { ids, tag, decider } = await corner({ olu, dana }, 1, ['Dot Detail'])
  await (await caller(decider)).post(`/requests/${ids[0]}/approve`, { comment: 'go on' })
  const { page } = await enter('olu')
  await page.goto(`/requests/${ids[0]}`)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(`Dana Developer asks to read file/${tag}/db-1`)
  await expect(page.getByRole('list', { name: 'How far it is' })).toContainText('1 of 1')
  await accessible(page)
  await page.getByRole('tab', { name: 'Checks' }).click()
  await expect(page.getByRole('list', { name: 'Checks' })).toContainText('has its approval')
  await expect(page.getByRole('list', { name: 'Clauses of the policy' })).toContainText('anything-with-one-approval')
  await accessible(page)
  await page.getByRole('tab', { name: 'History' }).click()
  const history = page.getByRole('list', { name: 'History, the newest last' })
  await expect(history).toContainText('Dot Detail approved.')
  await expect(history.getByRole('link', { name: /^Show in the audit: Dot Detail approved/ })).toHaveAttribute(
    'href',
    /correlation=/,
  )
  await accessible(page)
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Keys' })).toContainText('Approve with a comment')
  await accessible(page)
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toBeHidden()
  await page.keyboard.press('g')
  await page.keyboard.press('i')
  await expect(page).toHaveURL(/\/inbox$/)
})

test('where a fresh second factor is needed it is asked for, and then the verdict is sent at once', async ({
  enter,
  caller,
  accessible,
}) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { tag, decider } = await corner({ olu, dana }, 0, ['Fred Factor'])
  await careful(olu, tag)
  const id = await ask(dana, `file/${tag}/vault`, 'look into it')
  const fred = await caller(decider)
  const app = await fred.post<{ id: string; secret: string }>('/me/factors/totp', { name: 'phone' })
  await fred.post(`/me/factors/totp/${app.id}/confirm`, { code: code(app.secret, 0) })
  const { page } = await enter(decider)
  await page.goto('/inbox')
  await expect(pane(page).getByRole('heading', { level: 2 })).toContainText('vault')
  await page.keyboard.press('a')
  const dialog = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await accessible(page)
  // Closed, nothing was said.
  await page.keyboard.press('Escape')
  await expect(page.getByRole('alert').filter({ hasText: 'Your approval was not sent' })).toBeVisible()
  expect((await dana.get<Seen>(`/requests/${id}`)).votes).toEqual([])
  await page.getByRole('button', { name: 'Close this message' }).click()
  await page.getByRole('button', { name: 'Approve', exact: true }).click()
  await dialog.getByLabel('Code of your authenticator app').fill('000000')
  await dialog.getByRole('button', { name: 'Confirm' }).click()
  await expect(dialog.getByRole('alert')).toBeVisible()
  await dialog.getByLabel('Code of your authenticator app').fill(code(app.secret, 1))
  await dialog.getByRole('button', { name: 'Confirm' }).click()
  await expect.poll(async () => (await dana.get<Seen>(`/requests/${id}`)).votes.length).toBe(1)
})

test('a passkey proves who decides as well as a code', async ({ enter, caller }) => {
  const [olu, dana] = [await caller('olu'), await caller('dana')]
  const { tag, decider } = await corner({ olu, dana }, 0, ['Kay Passkey'])
  await careful(olu, tag)
  const id = await ask(dana, `file/${tag}/vault`, 'look into it')
  const { page, context } = await enter(decider)
  const browser = await context.newCDPSession(page)
  await browser.send('WebAuthn.enable')
  const options = {
    protocol: 'ctap2',
    transport: 'internal',
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
  } as const
  await browser.send('WebAuthn.addVirtualAuthenticator', { options })
  await page.goto('/inbox')
  await page.evaluate(enrolPasskey)
  await expect(pane(page).getByRole('heading', { level: 2 })).toContainText('vault')
  await page.keyboard.press('a')
  await page.getByRole('dialog').getByRole('button', { name: 'Use a passkey' }).click()
  await expect.poll(async () => (await dana.get<Seen>(`/requests/${id}`)).votes.length).toBe(1)
})

test('what one asked for shows up when it can be opened, and a key opens it', async ({ enter, caller, accessible }) => {
  const olu = await caller('olu')
  const dev = await invite(olu, 'Ria Ready', [{ role: 'developer' }])
  const [ria, ada] = [await caller(dev), await caller('ada')]
  const { page } = await enter(dev)
  await page.goto('/inbox')
  await expect(page.getByRole('heading', { name: 'Nothing waits for you' })).toBeVisible()
  await expect(page.getByRole('main').getByRole('link', { name: 'Ask for a secret' })).toBeVisible()
  const id = await ask(ria, 'file/prod/db/password', 'restore the backup')
  await ada.post(`/requests/${id}/approve`, {})
  await until(ria, id, 'executed')
  await expect(page.getByRole('heading', { name: 'Ready for you to open' })).toBeVisible()
  await expect(pane(page).getByRole('button', { name: 'Open password' })).toBeVisible()
  await expect(pane(page).getByText('Ready to open')).toBeVisible()
  await accessible(page)
  await page.keyboard.press('v')
  await expect(page.getByRole('dialog', { name: 'Open a value once' })).toBeVisible()
})

test('who has no role yet is welcomed, and told whom to ask', async ({ enter, caller, accessible }) => {
  const nobody = await invite(await caller('olu'), 'Nat Nobody', [])
  const { page } = await enter(nobody)
  await page.goto('/inbox')
  await expect(page.getByRole('heading', { name: 'Welcome, Nat Nobody' })).toBeVisible()
  await expect(page.getByRole('main')).toContainText('You have no role yet. Ask an administrator for one')
  await accessible(page)
})

/** careful has the governance ask for a second factor of who approves below a prefix. */
async function careful(olu: Caller, tag: string) {
  await expect(async () => {
    const { version } = await olu.get<{ version: number }>('/governance') // others may change it meanwhile
    await olu.post('/governance/apply', {
      version,
      note: 'a second factor for who approves here',
      set: [
        {
          kind: 'Workflow',
          name: tag,
          spec: {
            steps: [{ id: 'approve', approvals: 1, from: { roles: ['approver'] } }],
            step_up: { approve: true },
          },
        },
        {
          kind: 'Rule',
          name: tag,
          spec: { priority: 100, scope: { connection: 'file', prefix: tag }, effect: 'require', workflow: tag },
        },
      ],
    })
  }).toPass()
}

/** enrolPasskey runs in a page, and makes a passkey for whoever is signed in there. */
async function enrolPasskey() {
  const call = async (path: string, body: unknown) => {
    const answer = await fetch(`/api/v1/me/factors/passkeys${path}`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'Idempotency-Key': crypto.randomUUID(),
        'Sb-Requested-With': 'tests',
      },
      body: JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(await answer.text())
    return answer.json()
  }
  const { public_key } = await call('', {})
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(public_key)
  const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential
  await call('/finish', { name: 'test', passkey: made.toJSON() })
}
