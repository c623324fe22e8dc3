/** openPalette opens the search over everything that can be gone to or done. */
export function openPalette() {}

export function Palette() {
  return null
}
