// What every test of the browser starts from: people with a browser of their own, and the same API for
// what a test needs but is not about.
import { randomUUID } from 'node:crypto'
import {
  type APIRequestContext,
  type Browser,
  type BrowserContext,
  test as base,
  expect,
  type Page,
  request,
} from '@playwright/test'
import AxeBuilder from './axe'
import { password } from './stack'

export { expect }

export const people = {
  dana: 'developer@demo.local',
  ada: 'approver@demo.local',
  olu: 'admin@demo.local',
} as const

type Who = keyof typeof people

/** address is one that nobody else comes from, so that nobody's limits are another's. */
const address = () => `10.${byte()}.${byte()}.${byte()}`
const byte = () => 1 + Math.floor(Math.random() * 253)

export const url = () => process.env.SB_WEB_URL as string

/** Somebody in a browser of their own. */
interface Person {
  page: Page
  context: BrowserContext
  /** What the console and the Content Security Policy complained about: nothing may. */
  complaints: string[]
}

/** Whoever calls the API, with a bearer token. */
export interface Caller {
  get<T = unknown>(path: string): Promise<T>
  post<T = unknown>(path: string, body: unknown): Promise<T>
}

interface Fixtures {
  /** visit opens a browser that is nobody's yet. */
  visit: (options?: Parameters<Browser['newContext']>[0]) => Promise<Person>
  /** enter opens a browser in which somebody has signed in. */
  enter: (
    who: Who | { email: string; password: string },
    options?: Parameters<Browser['newContext']>[0],
  ) => Promise<Person>
  /** caller is somebody without a browser. */
  caller: (who: Who | { email: string; password: string }) => Promise<Caller>
  /** accessible fails with what axe finds on the page, in both colour schemes. */
  accessible: (page: Page) => Promise<void>
}

export const test = base.extend<Fixtures>({
  visit: async ({ browser }, use) => {
    const open: Person[] = []
    await use(async (options) => {
      const context = await browser.newContext({
        baseURL: url(),
        ignoreHTTPSErrors: true,
        extraHTTPHeaders: { 'X-Forwarded-For': address() },
        ...options,
      })
      const complaints: string[] = []
      context.on('page', (opened) => watch(opened, complaints)) // also further tabs
      const page = await context.newPage()
      const person = { page, context, complaints }
      open.push(person)
      return person
    })
    for (const person of open) {
      await person.context.close()
      expect(person.complaints, 'complaints of the browser').toEqual([])
    }
  },
  enter: async ({ visit }, use) => {
    await use(async (who, options) => {
      const person = await visit(options)
      const signedIn = await person.context.request.post('/api/v1/sessions', {
        data: { ...credentials(who), cookie: true },
        headers: { 'Sb-Requested-With': 'tests', Origin: url() },
      })
      expect(signedIn.status(), await signedIn.text()).toBe(201)
      return person
    })
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright wants a pattern
  caller: async ({}, use) => {
    const contexts: APIRequestContext[] = []
    await use(async (who) => {
      const anonymous = await request.newContext({
        baseURL: url(),
        ignoreHTTPSErrors: true,
        extraHTTPHeaders: { 'X-Forwarded-For': address() },
      })
      const session = await anonymous.post('/api/v1/sessions', { data: credentials(who) })
      expect(session.status(), await session.text()).toBe(201)
      const { token } = (await session.json()) as { token: string }
      await anonymous.dispose()
      const context = await request.newContext({
        baseURL: url(),
        ignoreHTTPSErrors: true,
        extraHTTPHeaders: { Authorization: `Bearer ${token}` },
      })
      contexts.push(context)
      return callerOf(context)
    })
    for (const context of contexts) await context.dispose()
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright wants a pattern
  accessible: async ({}, use) => {
    await use(async (page) => {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await settled(page, colorScheme)
        expect(await AxeBuilder(page), `accessibility in the ${colorScheme} scheme of ${page.url()}`).toEqual([])
      }
    })
  },
})

function credentials(who: Who | { email: string; password: string }) {
  return typeof who === 'string' ? { email: people[who], password } : { email: who.email, password: who.password }
}

function callerOf(context: APIRequestContext): Caller {
  return {
    async get<T>(path: string) {
      const got = await context.get(`/api/v1${path}`)
      expect(got.ok(), `GET ${path}: ${got.status()} ${await got.text()}`).toBe(true)
      return (await got.json()) as T
    },
    async post<T>(path: string, body: unknown) {
      const done = await context.post(`/api/v1${path}`, { data: body, headers: { 'Idempotency-Key': randomUUID() } })
      expect(done.ok(), `POST ${path}: ${done.status()} ${await done.text()}`).toBe(true)
      return (await done.json()) as T
    },
  }
}

/** settled waits until a page has the colours of a scheme: they fade from one to the other. */
async function settled(page: Page, colorScheme: 'light' | 'dark') {
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', colorScheme)
  await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done))
    await frame()
    await frame() // the colours that others inherit come with the next one
    const fading = document.getAnimations().filter((animation) => animation instanceof CSSTransition)
    await Promise.allSettled(fading.map((transition) => transition.finished))
  })
}

/**
 * What a browser may say on its console: that an answer was no success, which tests bring about on purpose,
 * or that the server is busy. A fault of the server is neither.
 */
const expected = /^Failed to load resource: (the server responded with a status of (4\d\d|503)|net::ERR_)/

function watch(page: Page, complaints: string[]) {
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type()) || expected.test(message.text())) return
    complaints.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`thrown: ${error.message}`))
}
