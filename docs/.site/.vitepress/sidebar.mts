// The order of the pages. A page that is named nowhere here stands at the end of its folder's group, so none is lost.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const groups: { text: string; folder: string; first: string[]; collapsed?: boolean }[] = [
  { text: 'Begin', folder: '.', first: ['quick-start', 'concepts', 'architecture', 'life-of-a-request', 'agent', 'inventory', 'kms', 'nats', 'projections', 'faq', 'migration'] },
  { text: 'How-to', folder: 'how-to', first: ['developer', 'approver', 'operator', 'security', 'auditor', 'web', 'approvals', 'cross-team'] },
  { text: 'Stores', folder: 'providers', first: ['vault'] },
  { text: 'Integrations', folder: 'integrations', first: [] },
  { text: 'Operations', folder: 'operations', first: [] },
  { text: 'Reference', folder: 'reference', first: ['index', 'api', 'cli', 'cli-server', 'cli-agent', 'configuration'] },
  { text: 'Security', folder: 'security', first: ['whitepaper', 'threat-model', 'envelopes', 'limits'] },
  { text: 'Decisions', folder: 'decisions', first: [], collapsed: true },
]

export function sidebar(docs: string) {
  return groups.map(({ text, folder, first, collapsed }) => {
    const there = readdirSync(join(docs, folder))
      .filter((name) => name.endsWith('.md') && name !== 'site.md')
      .map((name) => name.slice(0, -3))
    const order = [...first.filter((name) => there.includes(name)), ...there.filter((name) => !first.includes(name)).sort()]
    return {
      text,
      collapsed: collapsed ?? false,
      items: order.map((name) => ({ text: title(join(docs, folder, `${name}.md`)), link: folder === '.' ? `/${name}` : `/${folder}/${name === 'index' ? '' : name}` })),
    }
  })
}

/** title is the first heading of a page. */
function title(path: string): string {
  const heading = /^# (.+)$/m.exec(readFileSync(path, 'utf8'))
  if (!heading) throw new Error(`${path} has no heading`)
  return heading[1].replace(/`/g, '')
}
