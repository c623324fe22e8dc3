// The documentation site. The pages are docs/*.md as they stand in the repository; what they link to outside of
// docs/ (code, the contract) becomes plain text here, because the site must work without a network.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { defineConfig } from 'vitepress'
import { sidebar } from './sidebar.mts'

const docs = resolve(import.meta.dirname, '../..')
const version = process.env.SITE_VERSION
if (!version) throw new Error('SITE_VERSION is not set: make site sets it')

/** slug makes the anchors that GitHub makes, which links in the pages name. */
const slug = (heading: string) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{Mn} _-]/gu, '')
    .replace(/ /g, '-')

export default defineConfig({
  srcDir: 'pages', // build.mjs copies docs/ there
  outDir: process.env.SITE_OUT ?? `../../site/${version}`,
  base: `${process.env.SITE_BASE ?? '/'}${version}/`,
  title: 'Secrets Bridge',
  description: 'Governs access to secrets, and never becomes another place that holds them.',
  lang: 'en',
  cleanUrls: false, // a file server finds x.html
  rewrites: { 'site.md': 'index.md' },
  ignoreDeadLinks: false,
  head: [['meta', { name: 'referrer', content: 'no-referrer' }]],
  markdown: {
    anchor: { slugify: slug },
    toc: { slugify: slug },
    headers: { slugify: slug },
    languageAlias: { console: 'shellsession' },
    config(md) {
      md.core.ruler.push('outside', (state) => outside(state.tokens, state.env))
      const image = md.renderer.rules.image!
      md.renderer.rules.image = (tokens, index, options, env, self) => {
        const src = tokens[index].attrGet('src') ?? ''
        const path = resolve(dirname(join(docs, env.relativePath)), decodeURI(src))
        if (src.endsWith('.svg') && existsSync(path)) return `<span v-pre>${readFileSync(path, 'utf8').replace(/\n/g, ' ')}</span>`
        return image(tokens, index, options, env, self)
      }
    },
  },
  themeConfig: {
    nav: [
      { text: 'Quick start', link: '/quick-start' },
      { text: 'How-to', items: ['developer', 'approver', 'operator', 'security', 'auditor'].map((who) => ({ text: `For ${who === 'security' ? 'security teams' : `${who}s`}`, link: `/how-to/${who}` })) },
      { text: 'Reference', link: '/reference/' },
      { text: 'Security', link: '/security/whitepaper' },
    ],
    sidebar: sidebar(docs),
    outline: [2, 3],
    search: { provider: 'local' },
    docFooter: { prev: false, next: false },
  },
  vite: { build: { chunkSizeWarningLimit: 20_000 } },
})

/** outside takes links away that lead out of docs/, and keeps their text. Those to README and the like are named. */
function outside(tokens: any[], env: { relativePath: string }) {
  for (const token of tokens) {
    if (!token.children) continue
    let left = false
    for (const child of token.children) {
      if (child.type === 'link_open') {
        const href: string = child.attrGet('href') ?? ''
        if (/^([a-z]+:|#)/i.test(href)) continue
        const target = resolve(dirname(join(docs, env.relativePath)), decodeURI(href.split('#')[0]))
        const file = /\.md$/.test(target)
        const within = target.startsWith(docs + sep)
        const folder = within && !file && existsSync(join(target, 'index.md'))
        if (within && (file || folder)) continue
        left = true
        child.type = 'html_inline'
        child.tag = ''
        child.content = `<span class="elsewhere" title="${relative(resolve(docs, '..'), target)} in the repository">`
      } else if (child.type === 'link_close' && left) {
        left = false
        child.type = 'html_inline'
        child.tag = ''
        child.content = '</span>'
      }
    }
  }
}
