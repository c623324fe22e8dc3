// @vitest-environment node
import { inspect } from 'node:util'
import { afterEach, expect, test, vi } from 'vitest'
import { encodeBinding, unixSeconds } from './binding'
import { concat, fields, hex, sha256, toBase64, utf8 } from './bytes'
import { cipherSuite, sealTo } from './hpke'
import { newRecipient, openRevealed, type Recipient, SealError } from './index'
import { suiteBytes } from './keys'
import { pad } from './padding'
import { flipped, golden, goldenFor, goldenRecipient, newSigner, refused, unhex } from './testing'

const sealed = unhex(golden.sealed)
const ciphertextAt = 72 + 1120 + 32

afterEach(() => vi.restoreAllMocks())

/** Opens the golden message with something changed. */
async function opened({ b = goldenFor, bytes = sealed, signer = golden.signer, own = goldenRecipient() } = {}) {
  return openRevealed(await own, signer, b, toBase64(bytes))
}

/** A message of this test's own, made from docs/security/envelopes.md, and what signs it again. */
async function message(to: Recipient, plaintext: Uint8Array = pad(utf8('value'))) {
  const signer = await newSigner()
  const suite = suiteBytes('xwing')
  const { notAfter, ...place } = goldenFor
  const binding = encodeBinding({ direction: 'reveal', ...place, keyID: to.id, end: unixSeconds(notAfter) })
  const info = fields('secretsbridge message info v1', suite, binding)
  const head = concat(utf8('M'), Uint8Array.of(1), suite, to.public.id, signer.id)
  const body = await sealTo(to.public, info, head, new Uint8Array(plaintext))
  const sign = async (body: Uint8Array) => {
    const digest = await sha256(fields(body.subarray(0, ciphertextAt), body.subarray(ciphertextAt)))
    return concat(body, await signer.sign(fields('secretsbridge message v1', digest)))
  }
  return { signer: signer.text, body, sign, bytes: await sign(body) }
}

test('what Go sealed opens', async () => {
  const got = await opened()
  expect(got.kind).toBe('text')
  expect(hex(got.bytes)).toBe(golden.plaintext)
})

test('what was sealed for something else does not open', async () => {
  for (const field of Object.keys(goldenFor)) {
    const other = field === 'notAfter' ? '2027-01-02T03:04:06Z' : `${goldenFor[field as keyof typeof goldenFor]}x`
    await refused(field, opened({ b: { ...goldenFor, [field]: other } }), 'open')
    const none = field === 'notAfter' ? 'malformed' : 'binding'
    await refused(`no ${field}`, opened({ b: { ...goldenFor, [field]: '' } }), none)
  }
  await refused('two fields exchanged', opened({ b: { ...goldenFor, key: goldenFor.ref, ref: goldenFor.key } }), 'open')
})

test('a flipped bit anywhere is refused', async () => {
  for (const [what, at, code] of [
    ['kind', 0, 'malformed'],
    ['version', 1, 'suite'],
    ['KEM', 3, 'suite'],
    ['KDF', 5, 'suite'],
    ['AEAD', 7, 'suite'],
    ['recipient', 8, 'signature'],
    ['signer', 40, 'signature'],
    ['encapsulated key, ML-KEM', 72, 'signature'],
    ['encapsulated key, X25519', 72 + 1100, 'signature'],
    ['commitment', 72 + 1120, 'signature'],
    ['ciphertext', ciphertextAt, 'signature'],
    ['tag', -65, 'signature'],
    ['signature, R', -64, 'signature'],
    ['signature, S', -32, 'signature'],
  ] as const) {
    await refused(what, opened({ bytes: flipped(sealed, at) }), code)
  }
})

test('a flipped bit is refused as well where the control plane itself signed it', async () => {
  for (const [what, at, code] of [
    ['recipient', 8, 'open'],
    ['signer', 40, 'signature'],
    ['encapsulated key, ML-KEM', 72, 'open'],
    ['encapsulated key, X25519', 72 + 1100, 'open'],
    ['commitment', 72 + 1120, 'open'],
    ['ciphertext', ciphertextAt, 'open'],
    ['tag', -1, 'open'],
  ] as const) {
    const own = await newRecipient()
    const { signer, body, sign } = await message(own)
    await refused(what, openRevealed(own, signer, goldenFor, toBase64(await sign(flipped(body, at)))), code)
  }
  const own = await newRecipient()
  const { signer, body, sign } = await message(own)
  const got = await openRevealed(own, signer, goldenFor, toBase64(await sign(body)))
  expect(new TextDecoder().decode(got.bytes)).toBe('value')
})

test('a message of another commitment is refused, though its tag is right', async () => {
  const own = await newRecipient()
  const { signer, body, sign } = await message(own)
  const { notAfter, ...place } = goldenFor
  const binding = encodeBinding({ direction: 'reveal', ...place, keyID: own.id, end: unixSeconds(notAfter) })
  const suite = await cipherSuite('xwing')
  const sender = await suite.createSenderContext({
    recipientPublicKey: await suite.kem.deserializePublicKey(own.public.key),
    info: fields('secretsbridge message info v1', suiteBytes('xwing'), binding),
  })
  const header = concat(body.subarray(0, 72), new Uint8Array(sender.enc), new Uint8Array(32))
  const ciphertext = new Uint8Array(await sender.seal(pad(utf8('value')), header))
  const bytes = await sign(concat(header, ciphertext))
  await refused('zeros', openRevealed(own, signer, goldenFor, toBase64(bytes)), 'open')
})

test('another signer, and a message to another key, are refused', async () => {
  const other = await newSigner()
  await refused('another signer', opened({ signer: other.text }), 'signature')
  await refused('no signer', opened({ signer: '' }), 'key')
  await refused('another recipient', opened({ own: newRecipient() }), 'open')
})

test('what is no message is refused by its form', async () => {
  for (const n of [0, 1, 2, 71, ciphertextAt + 16 + 63]) {
    await refused(`${n} bytes`, opened({ bytes: sealed.slice(0, n) }), 'malformed')
  }
  await refused('too long', opened({ bytes: concat(sealed, new Uint8Array(524_544)) }), 'malformed')
  await refused('no base64', openRevealed(await goldenRecipient(), golden.signer, goldenFor, '!'), 'malformed')
})

test('another padding is refused, and the plaintext overwritten', async () => {
  const decrypt = vi.spyOn(crypto.subtle, 'decrypt')
  for (const [what, plaintext] of Object.entries({
    'not zeros': flipped(pad(utf8('value')), -1),
    'no step': pad(utf8('value')).subarray(0, 255),
    'a wrong length': flipped(pad(utf8('value')), 2),
  })) {
    const own = await newRecipient()
    const { signer, bytes } = await message(own, plaintext)
    await refused(what, openRevealed(own, signer, goldenFor, toBase64(bytes)), 'open')
    const plain = new Uint8Array(await decrypt.mock.results.at(-1)?.value)
    expect(plain.length, what).toBe(plaintext.length)
    expect(
      plain.every((b) => b === 0),
      what,
    ).toBe(true)
  }
})

test('bytes that are no text are binary', async () => {
  const own = await newRecipient()
  const { signer, bytes } = await message(own, pad(Uint8Array.of(0xff, 0)))
  const got = await openRevealed(own, signer, goldenFor, toBase64(bytes))
  expect(got).toEqual({ kind: 'binary', bytes: Uint8Array.of(0xff, 0) })
})

test('a key opens once, and not at all what a wrong signature kept out', async () => {
  const own = await goldenRecipient()
  await refused('a wrong signature', opened({ own: Promise.resolve(own), bytes: flipped(sealed, -1) }), 'signature')
  await opened({ own: Promise.resolve(own) }) // it was not spent on that
  await refused('the second time', opened({ own: Promise.resolve(own) }), 'key')
})

test('the seed is overwritten when it was used', async () => {
  const random = vi.spyOn(crypto, 'getRandomValues')
  const own = await newRecipient()
  const seed = random.mock.calls.map(([array]) => array as Uint8Array).find((array) => array.length === 32)
  expect(seed?.some((b) => b !== 0)).toBe(true)
  const { signer, bytes } = await message(own)
  await openRevealed(own, signer, goldenFor, toBase64(bytes))
  expect(seed?.every((b) => b === 0)).toBe(true)
})

test('a key is new each time, prints its public half, and nothing prints the other', async () => {
  const own = await newRecipient()
  expect(own.text).toMatch(/^xwing:[A-Za-z0-9_-]{1622}$/)
  expect((await newRecipient()).text).not.toBe(own.text)
  const ours = await goldenRecipient()
  const seed = golden.key.slice(6)
  for (const printed of [JSON.stringify(ours), String(ours), inspect(ours, { depth: 9, showHidden: true })]) {
    expect(printed).not.toContain(seed)
    expect(printed).not.toContain([...unhex(seed)].slice(0, 6).join(', '))
  }
})

test('a browser that cannot check signatures makes no key, so that no value is used up', async () => {
  vi.spyOn(crypto.subtle, 'importKey').mockRejectedValue(new DOMException('', 'NotSupportedError'))
  await refused('an older browser', newRecipient(), 'unsupported')
})

test('errors say one sentence and nothing of the input', () => {
  expect(new SealError('open').message).toBe('sealed bytes do not open under this key and binding')
})
