import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Page } from '@playwright/test'
import type { AxeResults } from 'axe-core'

const source = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The rules of WCAG 2.0 to 2.2, levels A and AA. */
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa']

/** faults are what axe finds on a page, each with the elements that have it. */
export default async function faults(page: Page): Promise<string[]> {
  // Not as a script element: the page's own policy forbids it, as it should.
  await page.evaluate(await source)
  const results = await page.evaluate(
    (values) =>
      (window as unknown as { axe: { run(what: unknown, how: unknown): Promise<AxeResults> } }).axe.run(document, {
        runOnly: values,
        resultTypes: ['violations'],
      }),
    tags,
  )
  return results.violations.flatMap((found) =>
    found.nodes.map(
      (node) => `${found.id}: ${node.target.join(' ')} · ${node.failureSummary?.split('\n').slice(1).join(' ').trim()}`,
    ),
  )
}
