// @vitest-environment node
import { XWing } from '@hpke/hybridkem-x-wing'
import { expect, test } from 'vitest'
import { hex } from './bytes'
import { SealError } from './errors'
import { cipherSuite } from './hpke'
import { suiteBytes, suites } from './keys'
import { verify } from './signature'
import { flipped, readJSON, unhex } from './testing'

// docs/security/vectors.md says where these are from, and what of them runs through Go.

interface Set {
  kem_id: number
  kdf_id: number
  aead_id: number
  info: string
  skRm: string
  pkRm: string
  enc: string
  shared_secret: string
  encryptions: { aad: string; ct: string; pt: string }[]
  exports: { exporter_context: string; L: number; exported_value: string }[]
}

test('the set of RFC 9180 for X25519, HKDF-SHA256 and AES-256-GCM runs', async () => {
  const sets = readJSON<Set[]>('seal/testdata/vectors/hpke-rfc9180.json.gz')
  const ran = { sets: 0, ciphertexts: 0, flipped: 0, exports: 0 }
  for (const s of sets.filter((s) => s.kem_id === suites.x25519.kem && s.kdf_id === 1 && s.aead_id === 2)) {
    const suite = await cipherSuite('x25519')
    expect([suite.kem.id, suite.kdf.id, suite.aead.id]).toEqual([s.kem_id, s.kdf_id, s.aead_id])
    expect(hex(suiteBytes('x25519'))).toBe('002000010002')
    const recipientKey = await suite.kem.importKey('raw', unhex(s.skRm).buffer, false)
    const context = await suite.createRecipientContext({ recipientKey, enc: unhex(s.enc), info: unhex(s.info) })
    for (const e of s.encryptions) {
      const refused = await context.open(flipped(unhex(e.ct), 0), unhex(e.aad)).catch(() => undefined)
      expect(refused).toBeUndefined()
      ran.flipped++
      expect(hex(new Uint8Array(await context.open(unhex(e.ct), unhex(e.aad))))).toBe(e.pt)
      ran.ciphertexts++
    }
    for (const e of s.exports) {
      const got = await context.export(unhex(e.exporter_context), e.L)
      expect(hex(new Uint8Array(got))).toBe(e.exported_value)
      ran.exports++
    }
    ran.sets++
  }
  expect(ran).toEqual({ sets: 1, ciphertexts: 257, flipped: 257, exports: 3 })
})

// The draft has no set for X-Wing with AES-256-GCM: of its two, keys and shared secrets run.
test('the keys and shared secrets of X-Wing in the HPKE-PQ draft run', async () => {
  const sets = readJSON<Set[]>('seal/testdata/vectors/hpke-pq.json.gz').filter((s) => s.kem_id === suites.xwing.kem)
  expect(sets.length).toBe(2)
  for (const s of sets) {
    const { kem } = await cipherSuite('xwing')
    const pair = await new XWing().generateKeyPairDerand(unhex(s.skRm))
    expect(hex(new Uint8Array(await kem.serializePublicKey(pair.publicKey)))).toBe(s.pkRm)
    const secret = (enc: string) => kem.decap({ recipientKey: pair.privateKey, enc: unhex(enc) })
    expect(hex(new Uint8Array(await secret(s.enc)))).toBe(s.shared_secret)
    expect(hex(new Uint8Array(await secret(hex(flipped(unhex(s.enc), 0)))))).not.toBe(s.shared_secret)
  }
})

interface Wycheproof {
  testGroups: {
    publicKey: { pk: string }
    tests: { tcId: number; msg: string; sig: string; result: 'valid' | 'invalid' }[]
  }[]
}

test('the signatures of Wycheproof are taken and refused as they should be', async () => {
  const ran = { valid: 0, invalid: 0 }
  for (const group of readJSON<Wycheproof>('seal/testdata/vectors/wycheproof-ed25519.json.gz').testGroups) {
    for (const v of group.tests) {
      const got = await verify(unhex(group.publicKey.pk), unhex(v.msg), unhex(v.sig)).then(
        () => 'valid',
        (e: unknown) => (e instanceof SealError && e.code === 'signature' ? 'invalid' : String(e)),
      )
      expect(got, `test ${v.tcId}`).toBe(v.result)
      ran[v.result]++
    }
  }
  expect(ran).toEqual({ valid: 88, invalid: 63 })
})
