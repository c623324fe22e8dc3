import { expect, test } from 'vitest'

/** The source of the application, without its tests. */
const sources = import.meta.glob('../**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true }) as Record<
  string,
  string
>

test('no two queries share a key, because each would show what the other one asked for', () => {
  const keys = Object.entries(sources)
    .filter(([file]) => !/\.test\.tsx?$/.test(file))
    .flatMap(([, text]) =>
      [...text.matchAll(/queryKey: (\[[^\]]*\]),?\s*(?:as const,)?[^)]*?queryFn/gs)].map(([, key]) => key),
    )
  expect(keys.length).toBeGreaterThan(30)
  expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([])
})
