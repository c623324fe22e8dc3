// The contract as this page reads it: operations with what they take and answer. It is the server's own
// text (OpenAPI 3.1), so what is not understood is left out rather than guessed.
import { parse } from 'yaml'

/** A schema as the text has it: the keywords that the contract uses. */
export interface Raw {
  $ref?: string
  type?: string
  description?: string
  properties?: Record<string, Raw>
  required?: string[]
  items?: Raw
  oneOf?: Raw[]
  enum?: unknown[]
  const?: unknown
  default?: unknown
  format?: string
  pattern?: string
  contentEncoding?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  maxProperties?: number
  additionalProperties?: boolean | Raw
  uniqueItems?: boolean
  examples?: unknown[]
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required: boolean
  description: string
  schema: Raw
  example?: unknown
}

/** What a call sends or gets. */
export interface Content {
  type: string
  schema: Raw
}

export interface Answer {
  status: string
  description: string
  content?: Content
}

export interface Operation {
  id: string
  tag: string
  method: string
  path: string
  summary: string
  description: string
  /** A permission, "session" (anybody who is signed in) or "public". */
  permission: string
  codes: string[]
  parameters: Parameter[]
  body?: Content & { required: boolean }
  answers: Answer[]
}

export interface Problem {
  status: number
  detail: string
}

export interface Contract {
  version: string
  description: string
  tags: { name: string; description: string }[]
  operations: Operation[]
  problems: Map<string, Problem>
  schemas: Record<string, Raw>
}

interface RawOperation {
  operationId: string
  tags?: string[]
  summary?: string
  description?: string
  'x-permission': string
  'x-codes'?: string[]
  parameters?: (Partial<Parameter> & { $ref?: string })[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Raw }> }
  responses: Record<string, { $ref?: string; description?: string; content?: Record<string, { schema: Raw }> }>
}

interface Document {
  info: { version: string; description: string }
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, RawOperation>>
  components: {
    parameters: Record<string, Partial<Parameter>>
    schemas: Record<string, Raw>
  }
  'x-step-up-codes': string[]
  'x-problems': { codes: (Problem & { code: string })[] }[]
}

/** read takes the contract out of its text. Errors: those of YAML. */
export function read(text: string): Contract {
  const document = parse(text, { version: '1.2', maxAliasCount: 0 }) as Document
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => operationOf(document, method.toUpperCase(), path, operation)),
  )
  const order = document.tags.map(({ name }) => name)
  return {
    version: document.info.version,
    description: document.info.description,
    tags: document.tags,
    operations: operations.sort((a, b) => order.indexOf(a.tag) - order.indexOf(b.tag)), // it is stable
    problems: new Map(document['x-problems'].flatMap(({ codes }) => codes.map((p) => [p.code, p]))),
    schemas: document.components.schemas,
  }
}

function operationOf(document: Document, method: string, path: string, raw: RawOperation): Operation {
  const open = raw['x-permission'] === 'public'
  return {
    id: raw.operationId,
    tag: raw.tags?.[0] ?? '',
    method,
    path,
    summary: raw.summary ?? '',
    description: raw.description ?? '',
    permission: raw['x-permission'],
    codes: [...new Set([...(raw['x-codes'] ?? []), ...(open ? [] : document['x-step-up-codes'])])],
    parameters: (raw.parameters ?? []).map((parameter) => parameterOf(document, parameter)),
    ...(raw.requestBody && {
      body: { required: raw.requestBody.required ?? false, ...contentOf(raw.requestBody.content) },
    }),
    // The default one is a problem, which the codes tell better.
    answers: Object.entries(raw.responses)
      .filter(([status, { $ref }]) => status !== 'default' && !$ref)
      .map(([status, { description, content }]) => ({
        status,
        description: description ?? '',
        ...(content && { content: contentOf(content) }),
      })),
  }
}

function contentOf(content: Record<string, { schema: Raw }>): Content {
  const [type, { schema }] = Object.entries(content)[0] ?? ['', { schema: {} }]
  return { type, schema }
}

function parameterOf(document: Document, raw: Partial<Parameter> & { $ref?: string }): Parameter {
  const said = raw.$ref ? document.components.parameters[nameOf(raw.$ref)] : raw
  return {
    name: said?.name ?? '',
    in: said?.in ?? 'query',
    required: said?.required ?? false,
    description: said?.description ?? '',
    schema: said?.schema ?? {},
    example: said?.example,
  }
}

/** nameOf is the last part of a reference, such as `#/components/schemas/Person`. */
export const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)
