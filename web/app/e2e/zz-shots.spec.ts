import { test } from './fixtures'

const out = '/tmp/operate-shots'
test('shots', async ({ enter, caller }) => {
  test.setTimeout(300000)
  const olu = await caller('olu')
  const job = await olu.post<{ id: string }>('/jobs', { type: 'discover', connection: 'file' })
  for (;;) {
    const j = await olu.get<{ state: string }>(`/jobs/${job.id}`)
    if (!['queued', 'running'].includes(j.state)) break
  }
  await olu.post('/connections', {
    name: 'vault-eu',
    provider: 'vault',
    cluster: 'eu',
    description: 'Vault of the payments team in Frankfurt',
  })
  const f = await olu.post<{ id: string }>('/jobs', { type: 'fingerprint', connection: 'file' })
  for (;;) {
    const j = await olu.get<{ state: string }>(`/jobs/${f.id}`)
    if (!['queued', 'running'].includes(j.state)) break
  }
  const dead = await olu.post<{ id: string }>('/jobs', { type: 'discover', connection: 'vault-eu' })
  const agents = await olu.get<{ items: { id: string }[] }>('/agents')
  const secrets = await olu.get<{ items: { id: string; secret: string }[] }>('/secrets')
  const s = secrets.items[0]!
  await olu.post('/ownership', {
    version: 0,
    rules: [{ connection: 'file', prefix: 'prod/', environment: 'production' }, { owner_label: 'Team' }],
  })
  for (const [size, vp] of [
    ['wide', { width: 1360, height: 860 }],
    ['phone', { width: 390, height: 844 }],
  ] as const) {
    for (const scheme of ['light', 'dark'] as const) {
      if (size === 'phone' && scheme === 'dark') continue
      const { page, complaints } = await enter('olu', { viewport: vp, colorScheme: scheme })
      const shot = async (name: string, path: string, before?: () => Promise<unknown>) => {
        await page.goto(path)
        await page.waitForLoadState('networkidle').catch(() => 0)
        await before?.()
        await page.waitForTimeout(500)
        await page.screenshot({ path: `${out}/${size}-${scheme}-${name}.png` })
      }
      await shot('inventory', '/inventory')
      await shot('inventory-filtered', '/inventory?label=Team%3Abilling')
      await shot('inventory-none', '/inventory?text=nothing-like-it')
      for (const v of ['stale', 'unowned', 'outside', 'same', 'rules']) await shot(v, `/inventory?view=${v}`)
      await shot('rule', '/inventory?view=rules', () => page.getByRole('button', { name: 'Add a rule' }).click())
      await shot('secret', `/inventory/${s.id}`)
      await shot('jobs', '/jobs')
      await shot('job', `/jobs/${job.id}`)
      await shot('job-waiting', `/jobs/${dead.id}`)
      await shot('scan', '/jobs', () => page.getByRole('button', { name: 'Scan now' }).first().click())
      await shot('agents', '/agents')
      await shot('agent', `/agents/${agents.items[0]!.id}`)
      await shot('invite', '/agents', () => page.getByRole('button', { name: 'Invite an agent' }).first().click())
      await page.getByRole('textbox', { name: 'Name' }).fill(`x-${size}-${scheme}`)
      await page.getByLabel('Cluster').fill('demo')
      await page.getByRole('button', { name: 'Make a token' }).click()
      await page.waitForTimeout(1500)
      await page.screenshot({ path: `${out}/${size}-${scheme}-enrol.png` })
      await shot('connections', '/connections')
      await shot('connection', '/connections/vault-eu')
      await shot('connection-file', '/connections/file')
      await shot('connection-new', '/connections', () =>
        page.getByRole('button', { name: 'New connection' }).first().click(),
      )
      console.log(complaints)
    }
  }
  const { page } = await enter('dana')
  for (const p of ['inventory', 'jobs', 'agents', 'connections', `inventory/${s.id}`, 'connections/file']) {
    await page.goto('/' + p)
    await page.waitForLoadState('networkidle').catch(() => 0)
    await page.screenshot({ path: `${out}/dana-${p.replaceAll('/', '-').slice(0, 16)}.png` })
  }
})
