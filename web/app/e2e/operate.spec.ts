// What operators do: agents, connections, scans, and the inventory that comes of them.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from '@playwright/test'
import { type Caller, expect, test } from './fixtures'

const bin = join(import.meta.dirname, '../../../bin')

/** unique names something that no other test has. */
const unique = (kind: string) => `${kind}-${randomUUID().slice(0, 8)}`

const row = (page: Page, name: string | RegExp) => page.getByRole('row').filter({ hasText: name })

/** begin starts what a dialog of scans is set to, or comes to what another test has started of it. */
async function begin(page: Page) {
  const dialog = page.getByRole('dialog', { name: 'Start a scan' })
  const busy = dialog.getByRole('link', { name: 'See how it gets on' })
  await dialog.getByRole('button', { name: 'Start' }).click()
  await expect(busy.or(page.getByRole('heading', { name: /^(Scan|Fingerprints) of / }))).toBeVisible()
  if (await busy.isVisible()) await busy.click()
  await expect(page).toHaveURL(/\/jobs\/j_/)
}

/** scanned has the demo connection scanned once at least. */
async function scanned(olu: Caller) {
  const { items } = await olu.get<{ items: unknown[] }>('/jobs?connection=file&type=discover&limit=1')
  if (items.length === 0) await olu.post('/jobs', { type: 'discover', connection: 'file' })
  await expect
    .poll(async () => (await olu.get<{ count: number }>('/secrets/count?connection=file')).count)
    .toBeGreaterThan(2)
}

test('somebody starts a scan and sees it to its end', async ({ enter, accessible }) => {
  const { page } = await enter('olu')
  await page.goto('/jobs')
  await page.getByRole('button', { name: 'Scan now' }).first().click()
  const dialog = page.getByRole('dialog', { name: 'Start a scan' })
  await dialog.getByLabel('Connection').selectOption('file')
  await accessible(page)
  await begin(page)
  await expect(page.getByRole('heading', { name: 'Scan of file', level: 1 })).toBeVisible()
  await expect(page.getByRole('status').filter({ hasText: 'Finished' })).toBeVisible()
  const progress = page.getByRole('region', { name: 'Progress' })
  await expect(progress.getByText('Secrets', { exact: true })).toBeVisible()
  await expect(page.getByText('Olu Operator')).toBeVisible()
  await accessible(page)
  await expect(page.getByRole('button', { name: 'Call it off' })).toBeHidden()
  await page.getByRole('button', { name: 'See the secrets of file' }).click()
  await expect(page).toHaveURL(/\/inventory\?connection=file$/)
})

test('the inventory is narrowed by labels, and somebody says whose a secret is', async ({
  enter,
  caller,
  accessible,
}) => {
  await scanned(await caller('olu'))
  const { page } = await enter('olu')
  await page.goto('/inventory?connection=file')
  const smtp = row(page, 'staging/mail/smtp')
  const stripe = row(page, 'prod/payments/stripe')
  await expect(smtp).toBeVisible()
  await accessible(page)

  await stripe.getByRole('button', { name: 'Team: billing' }).click()
  await expect(page).toHaveURL(/label=Team%3Abilling/)
  await expect(smtp).toBeHidden()
  await expect(stripe).toBeVisible()
  await expect(page.getByText('2 secrets', { exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Take the filter Team: billing away' }).click()
  await page.getByLabel('Search by path or label').fill('team:billing')
  await expect(page.getByRole('button', { name: 'Show those with the label Team: billing' })).toBeVisible()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/label=Team%3Abilling$/)
  await expect(page.getByText('2 secrets', { exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Take the filter Team: billing away' }).click()

  await page.getByLabel('Label', { exact: true }).selectOption('Environment')
  const staging = page.getByRole('list', { name: 'Values of Environment' }).getByRole('button', { name: /^staging/ })
  await staging.click()
  await expect(staging).toHaveAttribute('aria-pressed', 'true')
  await expect(stripe).toBeHidden()
  await expect(smtp).toBeVisible()

  await page.getByLabel('Search by path or label').fill('nothing is called that')
  await expect(page.getByRole('heading', { name: 'No secret is like that' })).toBeVisible()
  await page.getByRole('button', { name: 'Clear filters' }).last().click()
  await expect(stripe).toBeVisible()

  await smtp.focus()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: 'staging/mail/smtp', level: 1 })).toBeVisible()
  await accessible(page)
  const owner = unique('team')
  const assign = async (name: string) => {
    await page.getByRole('button', { name: 'Assign' }).click()
    const dialog = page.getByRole('dialog', { name: 'Say whose it is' })
    await dialog.getByLabel('Owner').fill(name)
    if (name !== '') await accessible(page)
    await dialog.getByRole('button', { name: 'Assign' }).click()
    await expect(dialog).toBeHidden()
  }
  await assign(owner)
  await expect(page.getByRole('region', { name: 'Whose it is' })).toContainText(`${owner} said by hand`)
  await assign('')
  await expect(page.getByRole('region', { name: 'Whose it is' })).not.toContainText(owner)
})

test('a developer has the names of keys looked up, and asks from there', async ({ enter, caller, accessible }) => {
  await scanned(await caller('olu'))
  const { page } = await enter('dana')
  await page.goto('/inventory?text=mail/smtp')
  await row(page, 'staging/mail/smtp').click()
  await page.getByRole('button', { name: 'Look up the names' }).click()
  const keys = page.getByRole('region', { name: 'Keys' })
  for (const name of ['host', 'password', 'port', 'user'])
    await expect(keys.getByText(name, { exact: true })).toBeVisible()
  await accessible(page)
  await expect(page.getByRole('button', { name: 'Assign' })).toHaveAttribute('aria-description', /secret\.assign/)
  await page.getByRole('button', { name: 'Ask to read' }).click()
  await expect(page).toHaveURL(/\/requests\/new\?secret=file%2Fstaging%2Fmail%2Fsmtp&operation=read/)
})

test('reports say what they are about, and come as a table', async ({ enter, caller, accessible }) => {
  await scanned(await caller('olu'))
  const { page } = await enter('olu')
  await page.goto('/inventory')
  for (const [tab, says] of [
    ['Stale', 'nobody changed for 90 days'],
    ['Unowned', 'no rule and no person says whose'],
    ['Changed outside', 'past the approvals'],
    ['Same values', 'Agents compare under a key of their own'],
  ] as const) {
    await page.getByRole('tab', { name: tab }).click()
    await expect(page.getByText(says).first()).toBeVisible()
    await expect(page.getByRole('status', { name: /^Loading/ })).toHaveCount(0)
    await accessible(page)
  }
  await page.getByRole('tab', { name: 'Unowned' }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download CSV' }).click()
  expect((await download).suggestedFilename()).toMatch(/^unowned-.*\.csv$/)
})

test('rules of ownership are ordered, and nobody overwrites what somebody else changed', async ({
  enter,
  caller,
  accessible,
}) => {
  const olu = await caller('olu')
  const before = await olu.get<{ version: number; rules: object[] }>('/ownership')
  const mine = unique('owner')
  const { page } = await enter('olu')
  await page.route('**/api/v1/live', (route) => route.abort()) // which would tell of the other change before
  await page.goto('/inventory?view=rules')
  const add = async (prefix: string) => {
    await page.getByRole('button', { name: 'Add a rule' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add a rule' })
    await dialog.getByLabel('The path begins with').fill(prefix)
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    await expect(dialog.getByText('Say an owner or an environment')).toBeVisible()
    await dialog.getByLabel('Owner of all of them').fill(mine)
    await accessible(page)
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
  }
  await add('one/')
  await add('two/')
  const rules = page.getByRole('list', { name: 'Rules, the first one first' }).getByRole('listitem')
  const last = before.rules.length + 2
  await expect(rules.nth(last - 1)).toContainText(`whose path begins with two/ belong to ${mine}`)
  await page.getByRole('button', { name: `Move rule ${last} up` }).click()
  await expect(rules.nth(last - 2)).toContainText('two/')
  await accessible(page)
  await page.getByRole('button', { name: 'Save the rules' }).click()
  await expect(page.getByText('Not saved yet.')).toBeHidden()
  const saved = await olu.get<{ version: number; rules: { prefix?: string }[] }>('/ownership')
  expect(saved.rules.slice(-2).map(({ prefix }) => prefix)).toEqual(['two/', 'one/'])

  await page.getByRole('button', { name: `Remove rule ${last}` }).click()
  await olu.post('/ownership', { version: saved.version, rules: before.rules })
  await page.getByRole('button', { name: 'Save the rules' }).click()
  await expect(page.getByText('Somebody else changed the rules')).toBeVisible()
  await page.getByRole('button', { name: 'Take the newest rules' }).click()
  await expect(page.getByText(mine)).toHaveCount(0)
})

test('an invited agent enrols with the command that is shown, and comes online while one looks', async ({
  enter,
  caller,
  accessible,
}) => {
  const name = unique('agent')
  const cluster = unique('cluster')
  const host = await mkdtemp(join(tmpdir(), 'sbagent-'))
  let agent: ChildProcess | undefined
  const { page } = await enter('olu')
  try {
    await page.goto('/agents')
    await page.getByRole('button', { name: 'Invite an agent' }).first().click()
    const invite = page.getByRole('dialog', { name: 'Invite an agent' })
    await invite.getByLabel('Name').fill(name)
    await invite.getByLabel('Cluster').fill(cluster)
    await accessible(page)
    await invite.getByRole('button', { name: 'Make a token' }).click()

    const dialog = page.getByRole('dialog', { name: `Enrol ${name}` })
    const command = dialog.getByRole('region', { name: 'Command that enrols the agent' })
    await expect(command).toContainText('sbe_••••')
    await expect(dialog.getByText('Waiting for its first sign of life…')).toBeVisible()
    await accessible(page)
    await dialog.getByRole('button', { name: 'Show the token' }).click()
    const shown = (await command.textContent()) ?? ''
    const token = /sbe_\S+/.exec(shown)?.[0] ?? ''
    expect(token.length).toBeGreaterThan(40)
    await dialog.getByRole('button', { name: 'Hide the token' }).click()
    expect(await page.content()).not.toContain(token)

    const dir = join(host, 'agent')
    const environment = { PATH: `${bin}:${process.env.PATH}`, HOME: host }
    await mkdir(dir, { mode: 0o700 })
    await copyFile(join(process.env.SB_WEB_DIR as string, 'data/ca.pem'), join(host, 'ca.pem'))
    await promisify(execFile)('bash', ['-c', shown.replace('/var/lib/sb-agent', dir)], { cwd: host, env: environment })
    await expect(dialog.getByText('It has enrolled. Waiting for it to start…')).toBeVisible()
    await writeFile(join(host, 'agent.yaml'), storeOf(unique('store')), { mode: 0o600 })
    agent = spawn(join(bin, 'sb-agent'), ['run', '--dir', dir, '--config', join(host, 'agent.yaml')], {
      env: environment,
      stdio: 'ignore',
    })
    await expect(dialog.getByText('It is online.')).toBeVisible({ timeout: 30_000 })
    await accessible(page)
    await dialog.getByRole('button', { name: 'Done' }).click()
    await expect(row(page, name)).toContainText('Online')
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, history.state]),
    )
    expect(kept).not.toContain(token)

    await row(page, name).click()
    await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible()
    await accessible(page)
    await page.getByRole('button', { name: 'Revoke' }).click()
    const revoke = page.getByRole('dialog', { name: `Revoke ${name}` })
    await expect(revoke.getByRole('button', { name: 'Revoke' })).toBeDisabled()
    await revoke.getByLabel('Reason, for the audit').fill('it was here for a test')
    await accessible(page)
    await revoke.getByRole('button', { name: 'Revoke' }).click()
    await expect(page.getByRole('status').filter({ hasText: 'Revoked' })).toBeVisible()
    const { items } = await (await caller('olu')).get<{ items: { state: string }[] }>(`/agents?cluster=${cluster}`)
    expect(items.map(({ state }) => state)).toEqual(['revoked'])
  } finally {
    await ended(agent)
    await rm(host, { recursive: true, force: true })
  }
})

/** storeOf is an agent's configuration of one connection. Its store is not there, which stops no agent. */
const storeOf = (name: string) =>
  `connections:\n  ${name}:\n    provider: file\n    dir: store\n    identity_file: store.key\n    allow: [prod]\n`

function ended(agent: ChildProcess | undefined): Promise<void> {
  if (!agent || agent.exitCode !== null || agent.signalCode !== null) return Promise.resolve()
  return new Promise((done) => {
    agent.once('exit', () => done())
    agent.kill('SIGKILL')
  })
}

test('a connection is named, scheduled, disabled with a reason, and taken up again', async ({ enter, accessible }) => {
  const name = unique('vault')
  const { page } = await enter('olu')
  await page.goto('/connections')
  await page.getByRole('button', { name: 'New connection' }).first().click()
  const dialog = page.getByRole('dialog', { name: 'New connection' })
  await dialog.getByLabel('Name').fill('Not A Name')
  await expect(dialog.getByText('Small letters, digits and -')).toBeVisible()
  await dialog.getByLabel('Name').fill(name)
  await dialog.getByLabel('Cluster').fill(unique('cluster'))
  await dialog.getByLabel('Description').fill('Vault of a test')
  await accessible(page)
  await dialog.getByRole('button', { name: 'Create' }).click()

  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible()
  await expect(page.getByText('No agent serves this cluster')).toBeVisible()
  await expect(page.getByRole('region', { name: 'Sample for agent.yaml' })).toContainText('provider: vault')
  await accessible(page)
  await page.getByRole('button', { name: 'Schedule scans' }).click()
  await page.getByLabel('Scan it').selectOption('every day')
  await accessible(page)
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('every day')).toBeVisible()

  await page.getByRole('button', { name: 'Disable' }).click()
  const disable = page.getByRole('dialog', { name: `Disable ${name}` })
  await disable.getByLabel('Reason, for the audit').fill('the store is being moved')
  await disable.getByRole('button', { name: 'Disable' }).click()
  await expect(page.getByText('This connection is disabled')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Scan now' })).toHaveAttribute('aria-description', /disabled/)
  await accessible(page)
  await page.getByRole('button', { name: 'Enable' }).click()
  await expect(page.getByText('This connection is disabled')).toBeHidden()

  await page.goto('/connections')
  await expect(row(page, name)).toContainText('In use')
  await accessible(page)
})

test('a scan that no agent can take says so, and is called off with a reason', async ({
  enter,
  caller,
  accessible,
}) => {
  const name = unique('vault')
  const cluster = unique('cluster')
  await (await caller('olu')).post('/connections', { name, provider: 'vault', cluster })
  const { page } = await enter('olu')
  await page.goto(`/connections/${name}`)
  await page.getByRole('button', { name: 'Scan now' }).click()
  await begin(page)
  await expect(page.getByText(`Cluster ${cluster} has no agent; it begins when one is enrolled.`)).toBeVisible()
  await page.getByRole('button', { name: 'Call it off' }).click()
  const dialog = page.getByRole('dialog', { name: 'Call this job off' })
  await dialog.getByLabel('Reason, for the audit').fill('nobody would take it')
  await accessible(page)
  await dialog.getByRole('button', { name: 'Call it off' }).click()
  await expect(dialog).toBeHidden()
  await expect(page.getByRole('status').filter({ hasText: 'Called off' })).toBeVisible()
  await expect(page.getByText('nobody would take it')).toBeVisible()
  await page.goto(`/jobs?connection=${name}`)
  await expect(row(page, `Scan of ${name}`)).toContainText('Called off')
})

test('a developer sees what they may not, and why', async ({ enter, accessible }) => {
  const { page } = await enter('dana')
  for (const [path, permission] of [
    ['/jobs', 'job.list'],
    ['/agents', 'agent.list'],
    ['/inventory?view=stale', 'report.read'],
  ] as const) {
    await page.goto(path)
    await expect(page.getByRole('heading', { name: 'You may not see this' })).toBeVisible()
    await expect(page.getByText(permission).first()).toBeVisible()
    await accessible(page)
  }
  await page.goto('/connections/file')
  for (const [button, permission] of [
    ['Scan now', 'job.manage'],
    ['Disable', 'connection.manage'],
    ['Schedule scans', 'connection.manage'],
  ] as const) {
    await expect(page.getByRole('button', { name: button })).toHaveAttribute('aria-description', new RegExp(permission))
  }
  await accessible(page)
})

test('a list of 100,000 secrets is scrolled to its end, with few rows in the document', async ({ enter }) => {
  test.slow() // 200 pages, one after the other
  const all = 100_000
  const size = 500
  const { page } = await enter('olu')
  await page.route(/\/api\/v1\/secrets\?/, (route) => {
    const from = Number(new URL(route.request().url()).searchParams.get('cursor') ?? 0)
    const items = Array.from({ length: size }, (_, n) => secretOf(from + n))
    const next = from + size < all ? { next: String(from + size) } : {}
    return route.fulfill({ json: { items, ...next } })
  })
  await page.route(/\/api\/v1\/secrets\/count/, (route) => route.fulfill({ json: { count: 10_000, exact: false } }))
  await page.goto('/inventory')
  await expect(page.getByText('more than 10,000 secrets')).toBeVisible()
  await expect(row(page, 'prod/service-000000/password')).toBeVisible()
  const seen = await page.evaluate(scrollThrough, all)
  expect(seen.rows, 'rows in the document at any time').toBeLessThan(100)
  expect(seen.frames, 'frames to the end').toBeLessThan(6_000)
  await expect(row(page, 'prod/service-099999/password')).toBeVisible()
  await page.getByText('100,000 rows', { exact: true }).waitFor()
})

const secretOf = (n: number) => ({
  id: `i_${String(n).padStart(26, '0')}`,
  secret: `file/prod/service-${String(n).padStart(6, '0')}/password`,
  connection: 'file',
  cluster: 'demo',
  provider: 'file',
  ref: `prod/service-${String(n).padStart(6, '0')}/password`,
  labels: { Team: `team-${n % 40}`, Environment: n % 3 ? 'prod' : 'staging', tier: String(n % 4) },
  version: '3',
  age_days: n % 500,
  created_at: '2026-01-10T08:00:00Z',
  first_seen_at: '2026-11-20T10:00:00Z',
  last_seen_at: '2026-11-27T10:00:00Z',
  status: 'present',
  seq: n + 1,
})

/** Runs in the page: goes to the end of what is there in each frame, until that is the end of all. */
async function scrollThrough(all: number): Promise<{ frames: number; rows: number }> {
  const viewport = document.querySelector<HTMLElement>('[role="table"] [role="rowgroup"]:last-child')
  if (!viewport) throw new Error('there is no table')
  let rows = 0
  for (let frames = 1; frames <= 6_000; frames++) {
    viewport.scrollTop = viewport.scrollHeight
    await new Promise((done) => requestAnimationFrame(done))
    rows = Math.max(rows, viewport.querySelectorAll('[role="row"]').length)
    const last = viewport.querySelector(`[aria-rowindex="${all + 1}"]`)
    if (last) return { frames, rows }
  }
  return { frames: Number.POSITIVE_INFINITY, rows }
}
