// Builds one version into site/VERSION, beside those that are there, and writes site/versions.json and the page that
// leads to the newest one.
import { spawnSync } from 'node:child_process'
import { cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const version = process.env.SITE_VERSION ?? ''
if (!/^[0-9A-Za-z][0-9A-Za-z.-]*$/.test(version)) throw new Error(`SITE_VERSION is "${version}": write a version, such as 1.2.0`)
const site = resolve(process.env.SITE ?? join(import.meta.dirname, '../../site'))
const base = process.env.SITE_BASE ?? '/'
if (!/^\/([\w.-]+\/)*$/.test(base)) throw new Error(`SITE_BASE is "${base}": write the path that the site lies under, such as /docs/`)

await rm(join(site, version), { recursive: true, force: true })
await mkdir(site, { recursive: true })

// The pages are built from a copy beside node_modules, because what they are compiled to imports from there.
const docs = resolve(import.meta.dirname, '..')
const pages = join(import.meta.dirname, 'pages')
await rm(pages, { recursive: true, force: true })
for (const name of await readdir(docs)) {
  if (name !== '.site') await cp(join(docs, name), join(pages, name), { recursive: true })
}

const built = spawnSync('npx', ['--no-install', 'vitepress', 'build', '.'], {
  cwd: import.meta.dirname,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, SITE_VERSION: version, SITE_OUT: join(site, version), SITE_BASE: base },
})
await rm(pages, { recursive: true, force: true })
if (built.status !== 0) process.exit(built.status ?? 1)

/** newer orders versions, the newest first: 1.10.0 before 1.9.0, a release before what leads to it. */
function newer(a, b) {
  const parts = (v) => v.replace(/^v/, '').split(/[.-]/)
  const [x, y] = [parts(a), parts(b)]
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    if (x[i] === y[i]) continue
    if (x[i] === undefined) return i < 3 ? 1 : -1
    if (y[i] === undefined) return i < 3 ? -1 : 1
    const [m, n] = [Number(x[i]), Number(y[i])]
    return Number.isNaN(m) || Number.isNaN(n) ? y[i].localeCompare(x[i]) : n - m
  }
  return 0
}

const versions = []
for (const name of await readdir(site)) {
  if (await stat(join(site, name, 'index.html')).catch(() => null)) versions.push(name)
}
versions.sort(newer)
await writeFile(join(site, 'versions.json'), `${JSON.stringify(versions)}\n`)
const first = `${base}${versions[0]}/`
await writeFile(
  join(site, 'index.html'),
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Secrets Bridge</title><meta http-equiv="refresh" content="0; url=${first}"><a href="${first}">${versions[0]}</a></html>\n`,
)
console.log(`${site}: ${versions.join(', ')}`)
