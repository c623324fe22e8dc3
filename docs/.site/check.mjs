// Tries the built site as a reader without a network has it: a file server on loopback, a real browser, and nothing else.
// Every page is opened, every link of it leads to a page and a heading, search finds, the choice of versions works, the
// colour scheme changes, and no request leaves the origin.
import { createServer } from 'node:http'
import { readFile, readdir } from 'node:fs/promises'
import { extname, join, normalize } from 'node:path'
import { createRequire } from 'node:module'

const { chromium } = createRequire(join(import.meta.dirname, '../../web/app/package.json'))('@playwright/test')
const site = process.argv[2]
const version = process.env.SITE_VERSION
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml', '.png': 'image/png' }

const server = createServer(async (ask, answer) => {
  let path = decodeURI(new URL(ask.url, 'http://x').pathname)
  if (path.endsWith('/')) path += 'index.html'
  try {
    const body = await readFile(join(site, normalize(path)))
    answer.writeHead(200, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream' }).end(ask.method === 'HEAD' ? undefined : body)
  } catch {
    answer.writeHead(404).end()
  }
})
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const origin = `http://127.0.0.1:${server.address().port}`
const base = `${origin}/${version}/`

const faults = []
const fault = (text) => faults.push(text)

/** The links of all pages, as they stand in the files. */
const pages = (await readdir(join(site, version), { recursive: true })).filter((name) => name.endsWith('.html') && name !== '404.html')
const ids = new Map()
const links = []
for (const page of pages) {
  const html = await readFile(join(site, version, page), 'utf8')
  ids.set(page, new Set([...html.matchAll(/\sid="([^"]+)"/g)].map((m) => m[1])))
  for (const m of html.matchAll(/<(?:a|link|script|img)\b[^>]*?\s(?:href|src)="([^"]+)"/g)) links.push([page, m[1].replaceAll('&amp;', '&'), m[0].startsWith('<a')])
}
const files = new Set((await readdir(site, { recursive: true })).map(String))
for (const [page, href, anchor] of links) {
  const to = new URL(href, base + page)
  if (to.origin !== origin) {
    if (!anchor) fault(`${page} loads ${href}`) // people may follow a link out; a page may fetch nothing
    continue
  }
  const path = decodeURI(to.pathname).slice(1)
  const file = path.endsWith('/') ? `${path}index.html` : path
  if (!files.has(file)) fault(`${page}: the link ${href} leads nowhere`)
  else if (to.hash && anchor && !ids.get(file.slice(version.length + 1))?.has(decodeURIComponent(to.hash.slice(1)))) fault(`${page}: the link ${href} leads to no heading`)
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme: 'light' })
await context.route('**', (route) => {
  const url = route.request().url()
  if (url.startsWith(`${origin}/`)) return route.continue()
  fault(`a page asked for ${url}`)
  return route.abort()
})
const page = await context.newPage()
page.on('pageerror', (error) => fault(`${page.url()}: ${error}`))
page.on('console', (message) => message.type() === 'error' && !message.text().startsWith('Failed to load resource') && fault(`${page.url()}: ${message.text()}`))
// HEAD asks whether another version has a page; every other answer of 4xx or 5xx is a fault.
page.on('response', (r) => r.status() >= 400 && r.request().method() !== 'HEAD' && fault(`${page.url()}: ${r.url()} is answered with ${r.status()}`))

await page.goto(`${origin}/`)
await page.waitForURL(base)
await page.getByRole('link', { name: 'Quick start', exact: true }).first().click()
await page.getByRole('heading', { level: 1, name: 'Quick start' }).waitFor()

await page.goto(`${base}concepts.html`)
const ink = () => page.locator('svg.diagram text').first().evaluate((e) => getComputedStyle(e).fill)
const light = await ink()
await page.locator('.VPNavBarAppearance .VPSwitchAppearance').click()
await page.locator('html.dark').waitFor()
if ((await ink()) === light) fault('a diagram does not follow the colour scheme')
if ((await page.locator('svg.diagram').count()) !== 5) fault('the concepts have not five diagrams')
const fonts = await page.evaluate(() => [...document.fonts].length)
if (fonts !== 0) fault(`${fonts} web fonts are declared`)

await page.keyboard.press('Control+k')
await page.locator('.VPLocalSearchBox input').fill('legal holds')
const hit = page.locator('.VPLocalSearchBox .result').first()
await hit.waitFor()
if (!/legal hold/i.test(await hit.innerText())) fault(`search for legal holds found ${await hit.innerText()}`)
await hit.click()
await page.getByRole('heading', { name: /legal holds/i }).waitFor()

const choice = page.getByLabel('Version')
await choice.waitFor()
const versions = JSON.parse(await readFile(join(site, 'versions.json'), 'utf8'))
const shown = await choice.locator('option').allInnerTexts()
if (shown.join() !== versions.join()) fault(`the choice of versions has ${shown}, versions.json ${versions}`)
const other = versions.find((v) => v !== version)
if (other) {
  await choice.selectOption(other)
  await page.waitForURL(new RegExp(`/${other.replaceAll('.', '\\.')}/`))
}

await browser.close()
server.close()
for (const f of faults) console.error(f)
console.log(`${pages.length} pages, ${links.length} links, ${faults.length} faults`)
if (faults.length > 0 || pages.length < 100 || links.length < 1000) process.exit(1)
