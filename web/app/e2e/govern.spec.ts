// How people change who may do what: rules, workflows, projects and teams. Everybody shares one server, so
// each test touches only what it named itself.
import { randomUUID } from 'node:crypto'
import type { Page } from '@playwright/test'
import { type Caller, expect, test } from './fixtures'

/** fresh is a name that nobody else has. */
const fresh = () => `zz-${randomUUID().slice(0, 13)}`

/** choose picks an option of a field that searches. */
async function choose(page: Page, field: string, option: string) {
  const box = page.getByRole('combobox', { name: field, exact: true })
  await box.fill(option)
  await page.getByRole('option', { name: option, exact: true }).click()
}

/** applyReviewed applies what the open dialog shows. Other tests change the governance as well, so it may have to look again. */
async function applyReviewed(page: Page) {
  const dialog = page.getByRole('dialog', { name: /^(Review change|Remove the )/ })
  await expect(async () => {
    const apply = dialog.getByRole('button', { name: 'Apply', exact: true })
    if (await apply.isVisible()) await apply.click({ timeout: 2_000 })
    await expect(dialog).toBeHidden({ timeout: 4_000 })
  }).toPass({ timeout: 30_000 })
}

/** set changes objects by the API, whatever else changed meanwhile. */
async function set(caller: Caller, ...objects: { kind: string; name: string; spec: object }[]) {
  await expect(async () => {
    const { version } = await caller.get<{ version: number }>('/governance')
    await caller.post('/governance/apply', { version, set: objects, note: 'for a test' })
  }).toPass({ timeout: 20_000 })
}

const good = 'The server has nothing against it.'

test('a rule is written, mended, tried, reviewed and applied, and then decides', async ({
  enter,
  caller,
  accessible,
}) => {
  test.slow()
  const name = fresh()
  const dana = await caller('dana')
  await dana.post('/requests', { secret: `file/${name}/db`, reason: 'to be decided again by the simulation' })
  const { page } = await enter('olu')
  await page.goto('/policies')
  await expect(page.getByRole('heading', { name: 'Priority -1000' })).toBeVisible()
  await page.getByRole('button', { name: 'New rule' }).click()
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill(name)
  await page.getByText('Refuses', { exact: true }).click()
  await choose(page, 'Connection', 'file')
  await page.getByLabel('Below the path').fill(`${name}/`)

  const condition = page.getByRole('textbox', { name: 'Condition' })
  await condition.fill('requester.nme == "x"')
  await expect(condition).toHaveAccessibleDescription(/undeclared reference to 'requester.nme'/)
  await expect(page.getByRole('button', { name: 'Review change' })).toHaveAccessibleDescription(/must be mended/)
  await accessible(page)
  await condition.fill('!requester.machine')
  await expect(page.getByText(good)).toBeVisible()
  await expect(page.getByText(`Nobody may read or change secrets below file/${name}/, when`)).toBeVisible()

  const bench = page.getByRole('region', { name: 'Try it' })
  const explain = async (verdict: RegExp) => {
    await choose(page, 'Who asks', 'Dana Developer')
    await bench.getByLabel('For which secret').fill(`file/${name}/db`)
    await bench.getByRole('button', { name: 'Explain' }).click()
    await expect(bench.getByText(verdict)).toBeVisible()
  }
  await explain(/^Allowed once one person approved/)
  await page.getByRole('button', { name: 'Try the draft on past requests' }).click()
  await expect(page.getByText(/^1 of (one|\d+) past requests? would go another way/)).toBeVisible()
  await expect(page.getByText('refused: a rule refuses it')).toBeVisible()

  await page.getByRole('button', { name: 'Review change' }).click()
  const dialog = page.getByRole('dialog', { name: 'Review change' })
  await expect(dialog.getByRole('heading', { name: `Rule ${name}` })).toBeVisible()
  await expect(dialog.getByText('Nobody gains or loses a permission.')).toBeVisible()
  await accessible(page)
  await dialog.getByLabel('Note').fill('nobody needs it')
  await applyReviewed(page)
  await expect(page.getByText(new RegExp(`^The rule ${name} is in force. Version \\d+`))).toBeVisible()

  await page.getByRole('link', { name, exact: true }).click()
  await explain(new RegExp(`^Refused: a rule refuses it \\(${name}\\)`))
  await page.getByRole('button', { name: 'Remove' }).click()
  await applyReviewed(page)
  await expect(page.getByRole('heading', { name: 'Policies', level: 1 })).toBeVisible()
  await expect(page.getByRole('link', { name, exact: true })).toHaveCount(0)
})

test('a rule as text is the same rule, and a mistake in it is told by its line', async ({
  enter,
  caller,
  accessible,
}) => {
  const name = fresh()
  await set(await caller('olu'), {
    kind: 'Rule',
    name,
    spec: { effect: 'deny', scope: { connection: 'file', prefix: `${name}/` }, priority: 3 },
  })
  const { page } = await enter('olu')
  await page.goto(`/policies?rule=${name}`)
  await page.getByText('Text', { exact: true }).click()
  const text = page.getByRole('textbox', { name: 'Text' })
  await expect(text).toHaveValue(new RegExp(`kind: Rule\nname: ${name}\nspec:`))
  const before = await text.inputValue()
  await text.fill(`${before}  priority: [`)
  await expect(text).toHaveAccessibleDescription(/^.*Line \d+:/)
  await accessible(page)
  await text.fill(before.replace('priority: 3', 'priority: 5'))
  await expect(page.getByText(good)).toBeVisible()
  await page.getByText('Form', { exact: true }).click()
  await expect(page.getByLabel('Priority')).toHaveValue('5')
  await page.getByRole('button', { name: 'Discard draft' }).click()
  await expect(page.getByLabel('Priority')).toHaveValue('3')
})

test('a workflow gets a second step', async ({ enter, caller, accessible }) => {
  const name = fresh()
  await set(await caller('olu'), {
    kind: 'Workflow',
    name,
    spec: { steps: [{ id: 'team', approvals: 1, from: { roles: ['approver'] } }] },
  })
  const { page } = await enter('olu')
  await page.goto('/workflows')
  await page.getByRole('link', { name, exact: true }).click()
  await page.getByRole('button', { name: 'Add a step' }).click()
  const second = page.getByRole('region', { name: 'Step 2' })
  await second.getByLabel('Name of the step').fill('security')
  await second.getByLabel('How many must agree').fill('2')
  await expect(second.getByRole('alert')).toHaveText(/names nobody/)
  await second.getByRole('combobox', { name: 'Roles' }).click()
  await page.getByRole('option', { name: 'admin' }).click()
  await page.keyboard.press('Escape')
  await expect(page.getByText(good)).toBeVisible()
  await accessible(page)
  await page.getByRole('button', { name: 'Review change' }).click()
  await expect(page.getByRole('dialog').getByText('+ team, security')).toBeVisible()
  await applyReviewed(page)
  const graph = page.getByRole('list', { name: `${name}, step by step` })
  await expect(graph.getByText('2 approvals from anybody with the role admin')).toBeVisible()
})

test('a team, its project and where its secrets lie', async ({ enter, accessible }) => {
  test.slow()
  const name = fresh()
  const { page } = await enter('olu')
  await page.goto('/projects')
  const begin = async (kind: string) => {
    await page.getByRole('button', { name: 'New', exact: true }).click()
    await page.getByRole('menuitem', { name: kind }).click()
    await page.getByRole('textbox', { name: 'Name', exact: true }).first().fill(name)
  }
  const review = async () => {
    await expect(page.getByText(good)).toBeVisible()
    await page.getByRole('button', { name: 'Review change' }).click()
    await applyReviewed(page)
  }
  await begin('Team')
  await choose(page, 'Heads', 'Ada Approver')
  await page.keyboard.press('Escape')
  await review()
  await begin('Project')
  await choose(page, 'Team', name)
  await accessible(page)
  await review()
  await page.getByRole('link', { name: `Add paths to ${name} / prod` }).click()
  await page.getByRole('textbox', { name: 'Name', exact: true }).fill(name)
  await choose(page, 'Connection', 'file')
  await page.getByLabel('Below the path').fill(`${name}/`)
  await expect(page.getByText(`${name} / prod covers file/${name}/. One may ask to read it.`)).toBeVisible()
  await review()
  await page.getByLabel('Filter by name').fill(name)
  await expect(page.getByTitle(`file/${name}/`)).toBeVisible()
  await accessible(page)
  await page.getByRole('tab', { name: 'Teams' }).click()
  await expect(page.getByText('led by Ada Approver')).toBeVisible()
  await accessible(page)
})

test("a role of one's own is made from sentences, and stands in the matrix", async ({ enter, accessible }) => {
  const name = fresh()
  const { page } = await enter('olu')
  await page.goto('/people?show=roles')
  await page.getByRole('button', { name: 'New role' }).click()
  const editor = page.getByRole('dialog', { name: 'New role' })
  await editor.getByRole('textbox', { name: 'Name', exact: true }).fill(name)
  await expect(editor.getByText('One thing to mend')).toBeVisible()
  await editor.getByRole('checkbox', { name: 'see the inventory' }).check()
  await expect(editor.getByText(good)).toBeVisible()
  await accessible(page)
  await editor.getByRole('button', { name: 'Review change' }).click()
  const dialog = page.getByRole('dialog', { name: 'Review change' })
  await expect(dialog.getByText('+ secret.list')).toBeVisible()
  await applyReviewed(page)
  await expect(page.getByRole('columnheader', { name })).toBeVisible()
  await accessible(page)
})

test('what somebody else changes meanwhile is told, and the draft stays', async ({ enter, caller }) => {
  const name = fresh()
  const olu = await caller('olu')
  await set(olu, { kind: 'Team', name, spec: { description: 'before' } })
  const { page } = await enter('olu')
  await page.goto(`/projects?edit=Team/${name}`)
  await choose(page, 'Heads', 'Ada Approver')
  await set(olu, { kind: 'Team', name, spec: { description: 'of somebody else' } })
  await page.getByRole('button', { name: 'Take theirs over' }).click()
  await expect(page.getByLabel('Description')).toHaveValue('of somebody else')
  await expect(page.getByText(good)).toBeVisible()

  let refused = 0
  await page.route('**/api/v1/governance/apply', async (route) => {
    if (refused++ > 0) return route.fallback()
    await route.fulfill({
      status: 409,
      contentType: 'application/problem+json',
      json: {
        type: 'about:blank',
        title: 'Conflict',
        status: 409,
        code: 'governance_moved',
        detail: 'somebody was faster',
      },
    })
  })
  await page.getByRole('button', { name: 'Review change' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: 'Apply', exact: true }).click()
  await expect(dialog.getByText(/somebody else changed the governance a moment before you/i)).toBeVisible()
  await expect(dialog.getByText('+ Ada Approver')).toBeVisible()
  await applyReviewed(page)
  const { objects } = await olu.get<{ objects: { name: string; spec: object }[] }>('/governance')
  expect(objects.find((o) => o.name === name)?.spec).toMatchObject({ description: 'of somebody else' })
})

test('a version says what it changed and what changed since', async ({ enter, caller, accessible }) => {
  const name = fresh()
  const olu = await caller('olu')
  await set(olu, { kind: 'Team', name, spec: { description: 'first words' } })
  const { version } = await olu.get<{ version: number }>('/governance')
  await set(olu, { kind: 'Team', name, spec: { description: 'later words' } })
  const { page } = await enter('olu')
  await page.goto('/changes')
  await expect(page.getByRole('table', { name: 'Versions of the governance' })).toContainText(`Set the team ${name}`)
  await accessible(page)
  await page.goto(`/changes/${version}`)
  await page.getByText('What changed since').click()
  await expect(page.getByText('later words')).toBeVisible()
  await accessible(page)
  await page.getByRole('button', { name: 'Bring it back', exact: true }).click()
  await expect(page.getByRole('dialog').getByText('+ first words')).toBeVisible()
})

test('who may not see the governance is told so', async ({ enter, accessible }) => {
  const { page } = await enter('dana')
  for (const path of ['/policies', '/workflows', '/projects', '/changes', '/changes/1']) {
    await page.goto(path)
    await expect(page.getByRole('heading', { name: 'You may not see this' })).toBeVisible()
    await expect(page.getByText(/None of your roles lets you; ask an administrator/).first()).toBeVisible()
    await accessible(page)
  }
})
