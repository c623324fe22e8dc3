// @vitest-environment node
import { expect, test } from 'vitest'
import { encodeBinding, unixSeconds } from './binding'
import { hex } from './bytes'
import { SealError } from './errors'
import { golden, readJSON } from './testing'

const proposal = readJSON<typeof golden>('seal/testdata/golden/proposal-v1.json')

/** What Go bound, in the words of this half. */
function boundBy(g: typeof golden) {
  const b = g.binding as { [field: string]: string }
  const {
    Request = '',
    Key = '',
    Connection = '',
    Ref = '',
    Agent = '',
    AgentKey = '',
    Envelope = '',
    NotAfter = '',
  } = b
  const place = { request: Request, key: Key, connection: Connection, ref: Ref, me: Agent, keyID: AgentKey }
  return { place, reveal: { ...place, envelope: Envelope, end: unixSeconds(NotAfter) } }
}

test('a binding is encoded as Go encodes it', () => {
  expect(hex(encodeBinding({ direction: 'reveal', ...boundBy(golden).reveal }))).toBe(golden.bound)
  expect(hex(encodeBinding({ direction: 'propose', ...boundBy(proposal).place }))).toBe(proposal.bound)
})

test('a binding without one of its fields is refused', () => {
  const { reveal } = boundBy(golden)
  for (const field of Object.keys(reveal)) {
    const without = { ...reveal, [field]: field === 'end' ? 0 : '' }
    expect(() => encodeBinding({ direction: 'reveal', ...without }), field).toThrow(new SealError('binding'))
  }
})

test('times of the API are whole seconds, and other spellings are none', () => {
  expect(unixSeconds('2027-01-02T03:04:05Z')).toBe(1_798_859_045)
  expect(unixSeconds('2027-01-02T03:04:05.999999999Z')).toBe(1_798_859_045)
  expect(unixSeconds('2027-01-02T05:04:05+02:00')).toBe(1_798_859_045)
  for (const other of [
    '',
    '2027-01-02',
    '2027-01-02T03:04:05',
    '2027-13-02T03:04:05Z',
    '1798859045',
    'Sat Jan 02 2027',
  ]) {
    expect(() => unixSeconds(other), other).toThrow(new SealError('malformed'))
  }
})
