// Schemas as lists of fields: one level at a time, for a schema may lead to itself.
import { nameOf, type Raw } from './contract'

type Schemas = Record<string, Raw>

export interface Field {
  name: string
  /** What it is, such as "array of Person". */
  type: string
  required: boolean
  about: string
  /** What it may be at most and at least, each in words. */
  bounds: string[]
  /** What it consists of, where that is fields again. */
  inner?: Raw
  /** The name of what it consists of. */
  of?: string
  /** It consists of something that it is a part of itself. */
  again: boolean
}

/** followed is a schema without its reference, and the name that it had. What stands beside a reference goes first. */
export function followed(schemas: Schemas, schema: Raw): { schema: Raw; name?: string } {
  const seen = new Set<string>()
  let at = schema
  let name: string | undefined
  while (at.$ref && !seen.has(at.$ref)) {
    seen.add(at.$ref)
    name = nameOf(at.$ref)
    const { $ref, ...beside } = at
    at = { ...schemas[name], ...beside }
  }
  return name === undefined ? { schema: at } : { schema: at, name }
}

/** fieldsOf is the fields of an object, or of the items of a list. `trail` is the names of what one came through. */
export function fieldsOf(schemas: Schemas, schema: Raw, trail: readonly string[] = []): Field[] {
  const { schema: object } = objectOf(schemas, schema)
  return Object.entries(object.properties ?? {}).map(([name, property]) => ({
    name,
    required: object.required?.includes(name) ?? false,
    ...described(schemas, property, trail),
  }))
}

/** described is what there is to say about a schema, apart from its own name. */
export function described(
  schemas: Schemas,
  schema: Raw,
  trail: readonly string[] = [],
): Omit<Field, 'name' | 'required'> {
  const { schema: said } = followed(schemas, schema)
  const { schema: object, name: of } = objectOf(schemas, schema)
  const again = of !== undefined && trail.includes(of)
  return {
    type: typeOf(schemas, schema),
    about: said.description ?? '',
    bounds: boundsOf(said),
    again,
    ...(object.properties && { inner: object }),
    ...(of !== undefined && { of }),
  }
}

/** objectOf goes through lists and maps to what they hold. */
export function objectOf(schemas: Schemas, schema: Raw): { schema: Raw; name?: string } {
  let at = followed(schemas, schema)
  for (let depth = 0; depth < 8; depth++) {
    const { items, additionalProperties: rest, properties } = at.schema
    if (items) at = followed(schemas, items)
    else if (!properties && typeof rest === 'object') at = followed(schemas, rest)
    else break
  }
  return at
}

/** typeOf is what a value is, by the names of JSON. */
export function typeOf(schemas: Schemas, schema: Raw): string {
  const { schema: said, name } = followed(schemas, schema)
  if (said.items) return `array of ${typeOf(schemas, said.items)}`
  if (said.properties) return name ?? 'object'
  if (typeof said.additionalProperties === 'object') return `map of ${typeOf(schemas, said.additionalProperties)}`
  if (said.type === 'string' && said.format) return `string (${said.format})`
  return said.type ?? 'anything'
}

/** boundsOf is the limits of a value in words. */
export function boundsOf(said: Raw): string[] {
  const bounds: string[] = []
  if (said.enum) bounds.push(`one of ${said.enum.join(', ')}`)
  if (said.const !== undefined) bounds.push(`always ${String(said.const)}`)
  const ranges: [number | undefined, number | undefined, string][] = [
    [said.minLength, said.maxLength, ' characters'],
    [said.minimum, said.maximum, ''],
    [said.minItems, said.maxItems, ' items'],
    [undefined, said.maxProperties, ' fields'],
  ]
  for (const [least, most, what] of ranges) {
    const text = range(least, most)
    if (text) bounds.push(text + what)
  }
  if (said.uniqueItems) bounds.push('all different')
  if (said.contentEncoding) bounds.push(said.contentEncoding)
  if (said.pattern) bounds.push(`matches ${said.pattern}`)
  if (said.default !== undefined) bounds.push(`${JSON.stringify(said.default)} unless set`)
  return bounds
}

function range(least: number | undefined, most: number | undefined): string {
  const of = (n: number) => n.toLocaleString('en')
  if (least !== undefined && most !== undefined) return least === most ? of(most) : `${of(least)} to ${of(most)}`
  if (most !== undefined) return `at most ${of(most)}`
  return least !== undefined ? `at least ${of(least)}` : ''
}
