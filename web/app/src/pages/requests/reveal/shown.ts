// How a value is put into words for a screen or a clipboard. What comes out are strings, which cannot be
// overwritten: whoever calls lets go of them at once.
import type { Opened } from './machine'

/** What is shown instead of a value: always the same, so that it does not tell how long one is. */
export const mask = '•'.repeat(16)

/** copyText is what the clipboard gets: a text as it is, other bytes as base64. */
export function copyText({ kind, bytes }: Opened): string {
  return kind === 'text' ? new TextDecoder().decode(bytes) : base64(bytes)
}

/**
 * showText is what the screen gets: an object or a list of JSON with its lines indented, where that
 * changes nothing else. A number of twenty digits would come out as another one.
 */
export function showText(value: Opened): string {
  const text = copyText(value)
  if (value.kind === 'binary' || !/^\s*[[{]/.test(text)) return text
  try {
    const parsed: unknown = JSON.parse(text)
    return JSON.stringify(parsed) === text ? JSON.stringify(parsed, null, 2) : text
  } catch {
    return text // it only looks like JSON; what is thrown may quote it
  }
}

function base64(bytes: Uint8Array): string {
  let raw = ''
  for (const byte of bytes) raw += String.fromCharCode(byte)
  return btoa(raw)
}
