// @vitest-environment node
import { afterEach, expect, test, vi } from 'vitest'
import { fromBase64, toBase64, utf8 } from './bytes'
import { type IntakeAnswer, openIntake } from './intake'
import { printRecipientPublic } from './keys'
import { statement } from './signature'
import { flipped, newSigner, readJSON, refused } from './testing'

const golden = readJSON<{ answer: IntakeAnswer; said: { keys: [string, string]; not_after: string } }>(
  'custody/testdata/intake-v1.json',
)
const end = Date.parse(golden.said.not_after)
const before = new Date(end - 1)

/** Signs keys as a control plane does, but for what a test wants otherwise. */
async function signed(said: unknown, domain = 'secrets-bridge intake keys v1'): Promise<IntakeAnswer> {
  const signer = await newSigner()
  const text = utf8(typeof said === 'string' ? said : JSON.stringify(said))
  const signature = await signer.sign(statement(domain, text))
  return { intake_keys: toBase64(text), signing_key: signer.text, signature: toBase64(signature) }
}

afterEach(() => vi.restoreAllMocks())

test('the first key of an answer that Go signed is taken', async () => {
  const got = await openIntake(golden.answer, before)
  expect(printRecipientPublic(got.to)).toBe(golden.said.keys[0])
  expect(got.signer).toBe(golden.answer.signing_key)
  expect(got.notAfter.getTime()).toBe(end)
})

test('keys that have ended are refused', async () => {
  await refused('at the end', openIntake(golden.answer, new Date(end)), 'expired')
  await refused('a year after', openIntake(golden.answer, new Date(end + 3e10)), 'expired')
})

test('whatever of it is changed, the signature is not of it', async () => {
  const text = fromBase64(golden.answer.intake_keys)
  const signature = fromBase64(golden.answer.signature)
  const key = Buffer.from(golden.answer.signing_key.slice(8), 'base64url')
  const other = await newSigner()
  for (const [what, change] of Object.entries({
    'a key': { intake_keys: toBase64(flipped(text, 40)) },
    'the end': { intake_keys: toBase64(utf8(new TextDecoder().decode(text).replace('2026', '2096'))) },
    'the signature, first half': { signature: toBase64(flipped(signature, 0)) },
    'the signature, second half': { signature: toBase64(flipped(signature, 40)) },
    'the signature, longer': { signature: toBase64(Uint8Array.of(...signature, 0)) },
    'no signature': { signature: '' },
    'another signer': { signing_key: other.text },
    "the signer's key": { signing_key: `ed25519:${Buffer.from(flipped(key, 9)).toString('base64url')}` },
  })) {
    await refused(what, openIntake({ ...golden.answer, ...change }, before), 'signature')
  }
  await refused('another domain', openIntake(await signed(golden.said, 'ticket.v1'), before), 'signature')
})

test('what is no answer is refused', async () => {
  await refused('no base64', openIntake({ ...golden.answer, intake_keys: '?' }, before), 'malformed')
  await refused('another kind of key', openIntake({ ...golden.answer, signing_key: 'rsa:AA' }, before), 'key')
  await refused('a short key', openIntake({ ...golden.answer, signing_key: 'ed25519:AA' }, before), 'key')
  const [key] = golden.said.keys
  for (const said of [
    '',
    '{',
    'null',
    '[]',
    { keys: [key] },
    { keys: key, not_after: golden.said.not_after },
    { keys: [1], not_after: golden.said.not_after },
    { keys: [key], not_after: 'later' },
  ]) {
    await refused(JSON.stringify(said).slice(0, 60), openIntake(await signed(said), before), 'malformed')
  }
})

test('keys of suites that are not known, or of another length, are passed over', async () => {
  const [xwing, x25519] = golden.said.keys
  const not_after = golden.said.not_after
  const keys = ['mlkem1024:AAAA', `xwing:${'A'.repeat(40)}`, `${xwing}A`, 'xwing', '', x25519, xwing]
  expect(printRecipientPublic((await openIntake(await signed({ keys, not_after }), before)).to)).toBe(x25519)
  await refused('none left', openIntake(await signed({ keys: keys.slice(0, 5), not_after }), before), 'suite')
  await refused('none at all', openIntake(await signed({ keys: [], not_after }), before), 'suite')
})

test('a browser that does not know Ed25519, or a page without https, is told apart from a wrong signature', async () => {
  vi.spyOn(crypto.subtle, 'importKey').mockRejectedValue(new DOMException('', 'NotSupportedError'))
  await refused('an older browser', openIntake(golden.answer, before), 'unsupported')
  vi.restoreAllMocks()
  vi.spyOn(globalThis.crypto, 'subtle', 'get').mockReturnValue(undefined as never)
  await refused('a page over http', openIntake(golden.answer, before), 'unsupported')
})
