import type { Page } from '@playwright/test'

/**
 * strings are those in the memory of a page that contain a text, after everything that nobody holds any
 * more was taken away, each cut to what is around the text.
 */
export async function strings(page: Page, text: string): Promise<string[]> {
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.enable')
  // The second round takes what only waited for the first one, such as the targets of weak references.
  for (let round = 0; round < 2; round++) await session.send('HeapProfiler.collectGarbage')
  const parts: string[] = []
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => parts.push(chunk))
  await session.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false })
  await session.detach()
  const snapshot = JSON.parse(parts.join('')) as { strings: string[] }
  return snapshot.strings
    .filter((found) => found.includes(text))
    .map((found) => found.slice(Math.max(0, found.indexOf(text) - 60), found.indexOf(text) + text.length + 20))
}
