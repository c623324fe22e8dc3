// Calls as somebody may type them. Nothing secret is an argument, since who lists processes reads those:
// the token comes by standard input, and what is sent from a file.
import type { Contract, Operation, Parameter, Raw } from './contract'
import { followed } from './fields'

/** How deep an example is made up where the contract gives none. */
const deepest = 4

/** bodyOf is an example of a schema: the contract's own, or one that is made of its parts. */
export function bodyOf(schemas: Contract['schemas'], schema: Raw, depth = 0): unknown {
  const { schema: said } = followed(schemas, schema)
  if (said.examples && said.examples.length > 0) return said.examples[0]
  if (said.const !== undefined) return said.const
  if (said.enum) return said.enum[0]
  if (said.default !== undefined) return said.default
  if (depth >= deepest) return null
  if (said.items) return [bodyOf(schemas, said.items, depth + 1)]
  if (said.properties) {
    return Object.fromEntries(
      Object.entries(said.properties)
        .filter(([name]) => said.required?.includes(name))
        .map(([name, property]) => [name, bodyOf(schemas, property, depth + 1)]),
    )
  }
  const plain: Record<string, unknown> = {
    string: '',
    integer: said.minimum ?? 0,
    number: 0,
    boolean: false,
    array: [],
  }
  return said.type !== undefined && said.type in plain ? plain[said.type] : {}
}

/** curlOf is the call of an operation by curl, with examples for what it needs. */
export function curlOf(operation: Operation, server: string): string {
  const { method, path, parameters, permission, body, answers } = operation
  const filled = path.replaceAll(/\{(\w+)\}/g, (whole, name) => {
    const example = parameters.find((p) => p.in === 'path' && p.name === name)?.example
    return example === undefined ? whole : encodeURIComponent(String(example))
  })
  const needed = parameters.filter((p) => p.required)
  const query = new URLSearchParams(needed.filter((p) => p.in === 'query').map((p) => [p.name, text(p)]))
  const headers = needed.filter((p) => p.in === 'header')
  const closed = permission !== 'public'
  const stream = answers.some(({ content }) => content?.type === 'text/event-stream')
  const form = body?.type === 'application/x-www-form-urlencoded'
  const parts = [
    'curl --fail-with-body',
    stream && '--no-buffer',
    method !== 'GET' && `--request ${method}`,
    closed && '--header @-',
    ...headers.map((p) =>
      p.name === 'Idempotency-Key' ? `--header "${p.name}: $(uuidgen)"` : `--header '${p.name}: ${text(p)}'`,
    ),
    body && (form ? '--data @body.txt' : '--json @body.json'),
    `'${server}/api/v1${filled}${query.size > 0 ? `?${query}` : ''}'`,
  ].filter((part): part is string => typeof part === 'string')
  const call = parts.join(' \\\n  ')
  return closed ? `printf 'Authorization: Bearer %s' "$SB_TOKEN" |\n${call}` : call
}

const text = (parameter: Parameter) => String(parameter.example ?? '')
