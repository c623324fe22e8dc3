import { randomUUID } from 'node:crypto'
import { expect, type Page } from '@playwright/test'

/**
 * strings are those in the memory of a page's scripts that contain a text, after everything that nobody
 * holds any more was taken away, each cut to what is around the text. What the document shows is not in
 * there: its texts lie in the engine's own memory. One that the page certainly holds is looked for as well.
 */
export async function strings(page: Page, text: string): Promise<string[]> {
  const control = `held-${randomUUID()}`
  await page.evaluate((held) => Object.assign(window, { held }), control)
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.enable')
  // The second round takes what only waited for the first one, such as the targets of weak references.
  for (let round = 0; round < 2; round++) await session.send('HeapProfiler.collectGarbage')
  const parts: string[] = []
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => parts.push(chunk))
  await session.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false })
  await session.detach()
  const snapshot = JSON.parse(parts.join('')) as { strings: string[] }
  expect(snapshot.strings.includes(control), 'a text that the page holds is found').toBe(true)
  return snapshot.strings
    .filter((found) => found.includes(text))
    .map((found) => found.slice(Math.max(0, found.indexOf(text) - 60), found.indexOf(text) + text.length + 20))
}
