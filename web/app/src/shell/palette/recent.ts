// What somebody looked at last, in this tab: addresses alone, and in memory alone.

/** How many are remembered. */
const most = 6

/** Pages of one thing: sections are in the palette anyway. */
const kept = /^\/(requests|inventory|jobs|agents|people)\/([a-z]_[0-9a-z]{26})$|^\/(connections)\/([a-z0-9-]+)$/

export interface Recent {
  path: string
  section: string
  id: string
}

let recent: Recent[] = []

/** visited remembers a page, the newest first. */
export function visited(path: string): void {
  const found = kept.exec(path)
  if (!found) return
  const [, section = found[3] ?? '', id = found[4] ?? ''] = found
  recent = [{ path, section, id }, ...recent.filter((other) => other.path !== path)].slice(0, most)
}

export const recentlyVisited = (): Recent[] => recent
