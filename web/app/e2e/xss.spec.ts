// Whatever people write is text. Each field that somebody can fill holds markup that would run; nothing
// of it may, on any page that shows it.
import { randomUUID } from 'node:crypto'
import type { Page } from '@playwright/test'
import { type Caller, expect, test } from './fixtures'
import { ask, invite, until } from './world'

/** Each of these calls alert where it is taken for markup, for an address, or for code. */
const payloads = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg onload=alert(1)>',
  '<svg><script>alert(1)</script></svg>',
  '<iframe srcdoc="<script>parent.alert(1)</script>">',
  '<iframe src="javascript:alert(1)">',
  '<a href="javascript:alert(1)" autofocus onfocus=alert(1)>x</a>',
  '<input autofocus onfocus=alert(1)>',
  '<details open ontoggle=alert(1)>',
  '<body onload=alert(1)>',
  '<video><source onerror=alert(1)></video>',
  '<object data="javascript:alert(1)">',
  '<math><mi xlink:href="javascript:alert(1)">x',
  '<style>@import "javascript:alert(1)"</style>',
  '<link rel=stylesheet href="javascript:alert(1)">',
  '<meta http-equiv=refresh content="0;url=javascript:alert(1)">',
  '<base href="javascript:alert(1)//">',
  '<form action="javascript:alert(1)"><button>x',
  '<template><script>alert(1)</script></template>',
  '"><img src=x onerror=alert(1)>',
  "'><img src=x onerror=alert(1)>",
  '</textarea><img src=x onerror=alert(1)>',
  '</title><img src=x onerror=alert(1)>',
  '--><img src=x onerror=alert(1)>',
  ']]><img src=x onerror=alert(1)>',
  'javascript:alert(1)',
  '{{constructor.constructor("alert(1)")()}}',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a payload
  '${alert(1)}',
  '" onmouseover="alert(1)" x="',
  '\u202e<img src=x onerror=alert(1)>',
  '&lt;img src=x onerror=alert(1)&gt;',
]

/** all is every payload in one text; some are as many as a short field takes. */
const all = payloads.join(' ')
const some = (most: number) => payloads.filter((_, at) => payloads.slice(0, at + 1).join(' ').length <= most).join(' ')

test('markup in every field that people fill stays text', async ({ enter, caller }) => {
  test.slow()
  const [olu, dana, ada] = [await caller('olu'), await caller('dana'), await caller('ada')]
  const made = await fill({ olu, dana, ada })
  const { page } = await enter('olu')
  await page.addInitScript(() => {
    const seen = window as unknown as { ran: number }
    seen.ran = 0
    window.alert = () => {
      seen.ran++
    }
  })
  const pages = [
    ...[
      '/inbox',
      '/requests',
      '/audit',
      '/people',
      '/agents',
      '/connections',
      '/jobs',
      '/projects',
      '/changes',
      '/integrations',
      '/settings',
    ],
    `/requests/${made.rejected}`,
    `/requests/${made.glass}`,
    `/connections/${made.connection}`,
    `/people/${made.person}`,
    `/agents/${made.agent}`,
    `/audit?text=${encodeURIComponent('<script>alert(1)</script>')}`,
    `/requests/new?secret=${encodeURIComponent(some(200))}`,
    `/sign-in?problem=${encodeURIComponent('<img src=x onerror=alert(1)>')}&return_to=${encodeURIComponent('javascript:alert(1)')}`,
  ]
  for (const path of pages) {
    await test.step(path.slice(0, 60), async () => {
      await page.goto(path)
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
      await expect(page.getByRole('status', { name: /^Loading/ })).toHaveCount(0)
      expect(await ran(page), `alerts on ${path}`).toBe(0)
    })
  }
  await page.goto(`/requests/${made.rejected}`)
  await expect(page.getByRole('main')).toContainText('<img src=x onerror=alert(1)>') // it was really there
  await expect(page.getByRole('main').locator('img, iframe, object, base, meta')).toHaveCount(0)
})

const ran = (page: Page) => page.evaluate(() => (window as unknown as { ran: number }).ran)

/** fill writes the payloads wherever the API takes text from people. */
async function fill({ olu, dana, ada }: { olu: Caller; dana: Caller; ada: Caller }) {
  const tail = randomUUID().slice(0, 8)
  const rejected = await ask(dana, 'file/prod/db/password', all, { ticket: some(100), keys: [] })
  await ada.post(`/requests/${rejected}/reject`, { comment: all })
  const cancelled = await ask(dana, 'file/prod/db/password', all)
  await dana.post(`/requests/${cancelled}/cancel`, { comment: all })
  const connection = `xss-${tail}`
  await olu.post('/connections', { name: connection, provider: 'file', cluster: 'demo', description: some(200) })
  await olu.post(`/connections/${connection}/disable`, { reason: all.slice(0, 500) })
  const agent = await olu.post<{ agent: string }>('/agents/invitations', { name: `xss-${tail}`, cluster: 'demo' })
  await olu.post(`/agents/${agent.agent}/revoke`, { reason: all.slice(0, 500) })
  const person = await invite(olu, some(90), [{ role: 'developer' }])
  await olu.post(`/people/${person.id}/grants`, { role: 'approver', scope: { connection }, reason: some(400) })
  await olu.post('/machines', { name: `xss-${tail}`, description: some(150) })
  const glass = await broken(olu, dana, connection, tail)
  return { rejected, connection, agent: agent.agent, person: person.id, glass }
}

/** broken is a request without approval, in a place of its own, whose rule and workflow have markup in them too. */
async function broken(olu: Caller, dana: Caller, connection: string, tail: string): Promise<string> {
  const { version } = await olu.get<{ version: number }>('/governance')
  await olu.post(`/connections/${connection}/enable`, {})
  await olu.post('/governance/apply', {
    version,
    note: some(400),
    set: [
      {
        kind: 'Workflow',
        name: `xss-${tail}`,
        spec: {
          description: some(200),
          steps: [{ id: 'one', approvals: 1, from: { roles: ['approver'] } }],
          break_glass: {
            from: { roles: ['developer'] },
            review: { roles: ['approver'] },
            review_within_seconds: 3600,
            min_length: 10,
          },
        },
      },
      {
        kind: 'Rule',
        name: `xss-${tail}`,
        spec: {
          description: some(200),
          priority: 5,
          scope: { connection },
          effect: 'require',
          workflow: `xss-${tail}`,
        },
      },
      { kind: 'Team', name: `xss-${tail}`, spec: { description: some(200) } },
      {
        kind: 'Project',
        name: `xss-${tail}`,
        spec: { description: some(200), environments: [{ name: 'prod', kind: 'prod', description: some(200) }] },
      },
    ],
  })
  const id = await ask(dana, `${connection}/nowhere`, all, { break_glass: { reason: `It cannot wait: ${some(900)}` } })
  await until(dana, id, 'failed')
  return id
}
