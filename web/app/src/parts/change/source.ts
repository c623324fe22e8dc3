// An object as text, as files of the governance have it: YAML, of which JSON is a part.
import { parseDocument, stringify } from 'yaml'
import type { Kind, Spec } from '../../api/governance'

export type Read = { name: string; spec: Spec; wrong?: undefined } | { wrong: string }

export const write = (kind: Kind, name: string, spec: Spec): string =>
  stringify({ kind, name, spec }, { lineWidth: 0, version: '1.2', aliasDuplicateObjects: false })

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** read is the object that a text says, or what is wrong with the text, with the line. */
export function read(text: string, kind: Kind): Read {
  const document = parseDocument(text, { version: '1.2', prettyErrors: true, uniqueKeys: true, strict: true })
  const error = document.errors[0]
  if (error) {
    const line = error.linePos?.[0].line
    const said = error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? 'it cannot be read'
    return { wrong: line ? `Line ${line}: ${said}` : said }
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 0 })
  } catch {
    return { wrong: 'Anchors and aliases are not for files of the governance.' }
  }
  if (!isFields(value)) return { wrong: 'An object has the fields kind, name and spec.' }
  const odd = Object.keys(value).find((field) => !['kind', 'name', 'spec'].includes(field))
  if (odd) return { wrong: `There is no field “${odd}” beside kind, name and spec.` }
  if (value.kind !== kind) return { wrong: `Its kind stays ${kind}.` }
  if (typeof value.name !== 'string') return { wrong: 'It has no name.' }
  if (!isFields(value.spec)) return { wrong: 'Its spec is an object of fields.' }
  return { name: value.name, spec: value.spec }
}
