import { type Bytes, utf8, wipe } from './bytes'
import { SealError } from './errors'

/** The kinds of a proposed value: a string, or any other JSON value. */
export type ProposedKind = 'text' | 'json'

/** The longest value that can be proposed, in bytes. */
export const maxProposed = 524_287

/** Entry is an opened value. Its owner wipes the bytes. */
export interface Entry {
  /** `text` where the bytes are UTF-8, else `binary`. */
  kind: 'text' | 'binary'
  bytes: Uint8Array
}

const firstByte: Record<ProposedKind, number> = { text: 0x73, json: 0x6a } // s, j

/**
 * encodeEntry puts the kind before a value, so that the number 5 is not the text "5". JSON
 * becomes compact. A text that is no UTF-8, or JSON that is none or a string, is `value`;
 * one too long is `too_large`. The result is the caller's to wipe.
 */
export function encodeEntry(kind: ProposedKind, value: Uint8Array): Bytes {
  if (value.length > maxProposed) {
    throw new SealError('too_large')
  }
  if (!isText(value) || (kind === 'json' && !isOtherJSON(value))) {
    throw new SealError('value')
  }
  const compact = kind === 'json' ? compactJSON(value) : value
  const out = new Uint8Array(1 + compact.length)
  out[0] = firstByte[kind]
  out.set(compact, 1)
  if (compact !== value) {
    wipe(compact)
  }
  return out
}

/**
 * isText reports whether bytes are UTF-8: table 3-7 of the Unicode standard, version 16.
 * TextDecoder would know as well, but makes a string on the way, which cannot be wiped.
 */
export function isText(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const first = bytes[i] as number
    if (first < 0x80) {
      continue
    }
    const more = first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1
    if (more < 0 || i + more >= bytes.length) {
      return false
    }
    // The second byte shuts out long spellings, surrogates, and what is above U+10FFFF.
    const second = bytes[i + 1] as number
    const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
    const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
    if (second < least || second > most) {
      return false
    }
    for (let n = 2; n <= more; n++) {
      if (((bytes[i + n] as number) & 0xc0) !== 0x80) {
        return false
      }
    }
    i += more
  }
  return true
}

/**
 * isOtherJSON reports whether UTF-8 text is JSON and no string. The value becomes a string
 * and an object for that, which end with this call; it came out of a form as a string.
 */
function isOtherJSON(value: Uint8Array): boolean {
  try {
    // A byte order mark is kept, and so refused, as Go does.
    return typeof JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(value)) !== 'string'
  } catch {
    return false // what it throws may quote the value
  }
}

const [quote, backslash] = utf8('"\\')
const spaces = utf8(' \t\r\n')

/** compactJSON leaves out the white space of valid JSON and changes nothing else. */
function compactJSON(value: Uint8Array): Bytes {
  const out = new Uint8Array(value.length)
  let n = 0
  let inString = false
  let escaped = false
  for (const b of value) {
    if (inString) {
      inString = escaped || b !== quote
      escaped = !escaped && b === backslash
    } else if (spaces.includes(b)) {
      continue
    } else {
      inString = b === quote
    }
    out[n++] = b
  }
  return out.subarray(0, n)
}
