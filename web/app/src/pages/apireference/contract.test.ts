import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Contract, type Raw, read } from './contract'
import { bodyOf, curlOf } from './example'
import { described, fieldsOf } from './fields'
import { find, grouped } from './find'

const contract: Contract = read(readFileSync(join(import.meta.dirname, '../../../../openapi.yaml'), 'utf8'))

const call = (id: string) => {
  const operation = contract.operations.find((o) => o.id === id)
  if (!operation) throw new Error(`there is no ${id}`)
  return operation
}

test('every call of the contract has words, a permission, answers, and a sentence for each code', () => {
  expect(contract.operations.length).toBeGreaterThan(100)
  for (const operation of contract.operations) {
    expect(operation, operation.id).toMatchObject({
      summary: expect.stringMatching(/\w/),
      permission: expect.stringMatching(/\w/),
    })
    expect(operation.answers.length, operation.id).toBeGreaterThan(0)
    for (const code of operation.codes) expect(contract.problems.get(code)?.detail, code).toBeTruthy()
    for (const parameter of operation.parameters) expect(parameter.name, operation.id).not.toBe('')
  }
})

test('every field of every schema has a type and words for its limits', () => {
  for (const [name, schema] of Object.entries(contract.schemas)) {
    for (const field of fieldsOf(contract.schemas, schema)) {
      expect(field.type, `${name}.${field.name}`).not.toContain('undefined')
      expect(field.bounds.join(), `${name}.${field.name}`).not.toMatch(/undefined|\[object/)
    }
  }
})

test('a token is named, bounded and needed as the contract says', () => {
  const body = call('issueToken').body
  const fields = fieldsOf(contract.schemas, body?.schema ?? {})
  expect(fields.map(({ name, required }) => [name, required])).toEqual([
    ['name', true],
    ['permissions', true],
    ['scope', false],
    ['until', true],
  ])
  expect(fields[1]).toMatchObject({ type: 'array of string', bounds: ['1 to 64 items'] })
  expect(fields[2]).toMatchObject({ type: 'GivenScope', of: 'GivenScope', again: false })
  expect(fields[3]).toMatchObject({ type: 'string (date-time)' })
})

const nested: Record<string, Raw> = {
  Folder: {
    type: 'object',
    required: ['name'],
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 40, pattern: '^[a-z]+$' },
      folders: { type: 'array', maxItems: 5, items: { $ref: '#/components/schemas/Folder' } },
      labels: { type: 'object', additionalProperties: { type: 'string' } },
      kind: { $ref: '#/components/schemas/Kind', description: 'Which one.' },
    },
  },
  Kind: { type: 'string', enum: ['a', 'b'], default: 'a', description: 'A kind.' },
  Loop: { $ref: '#/components/schemas/Pool' },
  Pool: { $ref: '#/components/schemas/Loop' },
}

test('a schema that leads to itself is shown once, and one that leads nowhere ends', () => {
  const [name, folders, labels, kind] = fieldsOf(nested, { $ref: '#/components/schemas/Folder' }, ['Folder'])
  expect(name).toMatchObject({ required: true, bounds: ['1 to 40 characters', 'matches ^[a-z]+$'] })
  expect(folders).toMatchObject({ type: 'array of Folder', of: 'Folder', again: true, bounds: ['at most 5 items'] })
  expect(labels).toMatchObject({ type: 'map of string', again: false })
  expect(kind).toMatchObject({ about: 'Which one.', bounds: ['one of a, b', '"a" unless set'] })
  expect(described(nested, { $ref: '#/components/schemas/Loop' })).toMatchObject({ type: 'anything', bounds: [] })
  expect(bodyOf(nested, { $ref: '#/components/schemas/Folder' })).toEqual({ name: '' })
})

test('a call is found by all of its words, and keeps its place', () => {
  const found = find(contract.operations, '  MACHINE post token ')
  expect(found.map(({ id }) => id)).toEqual(['issueToken', 'revokeToken'])
  expect(find(contract.operations, 'nothing of that kind')).toEqual([])
  expect(grouped(contract.operations).map(([tag]) => tag)).toEqual(contract.tags.map(({ name }) => name))
})

test('an example has no secret among its arguments, and an example for every part of the path', () => {
  const issue = curlOf(call('issueToken'), 'https://bridge.example.org')
  expect(issue).toBe(
    [
      `printf 'Authorization: Bearer %s' "$SB_TOKEN" |`,
      'curl --fail-with-body \\',
      '  --request POST \\',
      '  --header @- \\',
      '  --header "Idempotency-Key: $(uuidgen)" \\',
      '  --json @body.json \\',
      "  'https://bridge.example.org/api/v1/machines/u_0123456789abcdefghjkmnpqrs/tokens'",
    ].join('\n'),
  )
  expect(curlOf(call('getSignInMethods'), '')).not.toContain('Authorization')
  for (const operation of contract.operations) expect(curlOf(operation, ''), operation.id).not.toMatch(/[{}]/)
})
