import { expect, people, test, url } from './fixtures'
import { password } from './stack'

test('somebody signs in, and comes to the page that they wanted', async ({ visit, accessible }) => {
  const { page } = await visit()
  await page.goto('/requests?state=pending')
  await expect(page.getByRole('heading', { name: 'Sign in', level: 1 })).toBeVisible()
  await accessible(page)
  await page.getByLabel('E-mail').fill(people.dana)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(/\/requests\?state=pending$/)
  await expect(page.getByRole('button', { name: 'Account of Dana Developer' })).toBeVisible()
})

test('no script can read the session, and nothing of it is stored', async ({ enter }) => {
  const { page, context } = await enter('dana')
  await page.goto('/')
  await expect(page.getByRole('navigation', { name: 'Sections' })).toBeVisible()
  const cookies = await context.cookies()
  expect(cookies.map(({ name, httpOnly, secure, sameSite }) => ({ name, httpOnly, secure, sameSite }))).toEqual([
    { name: '__Host-sb_session', httpOnly: true, secure: true, sameSite: 'Strict' },
  ])
  const token = cookies[0]?.value ?? ''
  const readable = await page.evaluate(() =>
    JSON.stringify([
      document.cookie,
      { ...localStorage },
      { ...sessionStorage },
      location.href,
      document.documentElement.outerHTML,
    ]),
  )
  expect(readable).not.toContain(token)
})

test('a page that is not there says so', async ({ enter }) => {
  const { page } = await enter('dana')
  await page.goto('/nowhere')
  await expect(page.getByRole('heading', { name: 'There is no such page' })).toBeVisible()
})

test('after somebody else signs in beside it, a tab does nothing in their name', async ({ enter, accessible }) => {
  const { page, context } = await enter('dana')
  await page.goto('/requests/new?secret=file/prod/db/password')
  await page.getByLabel('Reason').fill('restore the backup of Monday')
  const ada = await context.request.post('/api/v1/sessions', {
    data: { email: people.ada, password, cookie: true },
    headers: { 'Sb-Requested-With': 'tests', Origin: url() },
  })
  expect(ada.status()).toBe(201)
  const ended = page.getByRole('dialog', { name: 'Your session has ended' })
  await page.getByRole('button', { name: 'Send the request' }).click()
  await expect(ended.getByLabel('E-mail')).toHaveValue(people.dana)
  await accessible(page)
  await expect(page).toHaveURL(/\/requests\/new/)
  await ended.getByLabel('Password', { exact: true }).fill(password)
  await ended.getByRole('button', { name: 'Sign in' }).click()
  await expect(ended).toHaveCount(0)
  await page.getByRole('button', { name: 'Send the request' }).click()
  await expect(page).toHaveURL(/\/requests\/r_/)
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Dana Developer')
})
