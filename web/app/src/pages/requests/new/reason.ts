// What makes a reason worth reading, for those who decide on it. The server's own rules count beside it.

/** The fewest characters that say anything. */
export const helpful = 15

/** Words that say nothing of why. */
const empty = new Set(
  'a an and asap because for give i is it me my need needed no now please plz pls reason secret test testing the thing this to urgent want'.split(
    ' ',
  ),
)

/** What names a purpose: what it is done for, or what happened. */
const purpose =
  /\b(for|because|after|before|since|so that|to (?!get|have|see|read)\w+|incident|outage|restor\w*|rotat\w*|migrat\w*|debug\w*|deploy\w*|releas\w*|leak\w*|expir\w*|fail\w*|broken|down)\b/i

export interface Advice {
  /** From 0, nothing yet, to 3, good. */
  level: 0 | 1 | 2 | 3
  says: string
}

/** advise says how helpful a reason is, and what would make it better. `least` is what the workflow asks for. */
export function advise(reason: string, ticket: string, least = 0): Advice {
  const text = reason.trim()
  const length = [...text].length
  if (length === 0)
    return { level: 0, says: 'Say what you will do with it, and why now: "Restore the backup of Monday, OPS-42".' }
  if (length < least)
    return { level: 1, says: `The workflow wants ${least} characters at least; ${least - length} are missing.` }
  if (length < helpful) return { level: 1, says: 'A little more: what will you do with it?' }
  const telling = new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
  for (const word of empty) telling.delete(word)
  if (telling.size < 2)
    return { level: 1, says: 'This does not tell what for. Name the task, the system or the incident.' }
  if (!purpose.test(text) && !ticket && !ticketIn(text)) {
    return { level: 2, says: 'Good to know. Better still with what it is for, or a ticket.' }
  }
  return { level: 3, says: 'This tells what for. It helps whoever decides.' }
}

/** Names that look like tickets and are none. */
const noTickets = /^(AES|CVE|ISO|RFC|RSA|SHA|TLS|UTF|HTTP|X)-/

/** ticketIn finds the first ticket in a text, such as ABC-123. */
export function ticketIn(text: string): string | undefined {
  for (const [found] of text.matchAll(/(?<![\w-])[A-Z][A-Z0-9]{1,9}-\d{1,7}(?![\w-])/g)) {
    if (!noTickets.test(found)) return found
  }
  return undefined
}
