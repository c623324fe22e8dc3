// Filters under a name, kept in this browser: names and queries alone.
export interface SavedView {
  name: string
  /** The query of the page's address. */
  query: string
}

export const mostViews = 20
export const longestName = 60
const longestQuery = 4000

/** Whose views they are: in one browser, they are not the next one's. */
const placeOf = (person: string) => `sb.audit.views.${person}`

/** parseViews reads what is stored, which anybody may have written: what is no view is left out. */
export function parseViews(text: string | null): SavedView[] {
  let found: unknown
  try {
    found = JSON.parse(text ?? '[]')
  } catch {
    return []
  }
  if (!Array.isArray(found)) return []
  const views = new Map<string, SavedView>()
  for (const item of found) {
    if (typeof item !== 'object' || item === null) continue
    const { name, query } = item as Record<string, unknown>
    if (typeof name !== 'string' || typeof query !== 'string') continue
    const trimmed = name.trim()
    if (!trimmed || trimmed.length > longestName || query.length > longestQuery) continue
    if (!query.startsWith('?') && query !== '') continue
    views.set(trimmed, { name: trimmed, query })
  }
  return [...views.values()].slice(0, mostViews)
}

/** withView adds a view, or replaces the one of that name. It has no effect when there are too many. */
export function withView(views: SavedView[], view: SavedView): SavedView[] {
  const kept = views.filter(({ name }) => name !== view.name)
  return kept.length >= mostViews ? views : [...kept, view]
}

export const storedViews = {
  read(person: string): SavedView[] {
    try {
      return parseViews(localStorage.getItem(placeOf(person)))
    } catch {
      return [] // a browser may keep nothing
    }
  },
  write(person: string, views: SavedView[]) {
    try {
      localStorage.setItem(placeOf(person), JSON.stringify(views))
    } catch {
      // Then they last until the page is left.
    }
  },
}
