// @vitest-environment node
import { afterEach, expect, test, vi } from 'vitest'
import { encodeBinding } from './binding'
import { fields, fromBase64, utf8 } from './bytes'
import { maxProposed } from './entry'
import { cipherSuite, openFrom, split } from './hpke'
import { type Intake, type ProposedFor, sealProposal } from './index'
import { keyID, recipientPublic, type SuiteName, suiteBytes, suites } from './keys'
import { unpad } from './padding'
import { refused } from './testing'

const bound: ProposedFor = { request: 'i-1', key: 'password', connection: 'file', ref: 'prod/db', me: 'u_1' }

afterEach(() => vi.restoreAllMocks())

/** A key of the control plane, as openIntake returns it, and what opens with it. */
async function controlPlane(suite: SuiteName) {
  const hpke = await cipherSuite(suite)
  const pair = await hpke.kem.generateKeyPair()
  const to = await recipientPublic(suite, new Uint8Array(await hpke.kem.serializePublicKey(pair.publicKey)))
  const intake: Intake = { to, signer: 'ed25519:', notAfter: new Date(0) }
  const open = async (sealed: string, b: ProposedFor) => {
    const bytes = fromBase64(sealed)
    const binding = encodeBinding({ direction: 'propose', ...b, keyID: keyID(to) })
    const info = fields('secretsbridge proposal info v1', suiteBytes(suite), binding)
    const padded = await openFrom(hpke, pair.privateKey, info, split(bytes, suite, 40, bytes.length))
    return new TextDecoder().decode(unpad(padded))
  }
  return { intake, open }
}

test('a proposal opens under what it is bound to, and under nothing else', async () => {
  for (const suite of ['xwing', 'x25519'] as const) {
    const { intake, open } = await controlPlane(suite)
    const sealed = await sealProposal(intake, bound, 'json', utf8(' [1.0, "a"] '))
    expect(await open(sealed, bound)).toBe('j[1.0,"a"]')
    for (const field of Object.keys(bound)) {
      await refused(field, open(sealed, { ...bound, [field]: 'other' }), 'open')
    }
    const head = fromBase64(sealed).subarray(0, 40)
    expect(head).toEqual(Uint8Array.of(0x50, 1, ...suiteBytes(suite), ...intake.to.id))
  }
})

test('its length shows the value in steps of 256 bytes', async () => {
  const { intake } = await controlPlane('xwing')
  const length = async (n: number) => fromBase64(await sealProposal(intake, bound, 'text', new Uint8Array(n))).length
  const least = 40 + suites.xwing.encSize + 32 + 256 + 16
  expect([await length(0), await length(251), await length(252)]).toEqual([least, least, least + 256])
})

test('the same value twice is not sealed alike', async () => {
  const { intake } = await controlPlane('xwing')
  const once = await sealProposal(intake, bound, 'text', utf8('a'))
  expect(await sealProposal(intake, bound, 'text', utf8('a'))).not.toBe(once)
})

test('what cannot be sealed is refused', async () => {
  const { intake } = await controlPlane('xwing')
  for (const field of Object.keys(bound)) {
    await refused(`no ${field}`, sealProposal(intake, { ...bound, [field]: '' }, 'text', utf8('a')), 'binding')
  }
  await refused('no JSON', sealProposal(intake, bound, 'json', utf8('a')), 'value')
  await refused('no text', sealProposal(intake, bound, 'text', Uint8Array.of(0xff)), 'value')
  await refused('too long', sealProposal(intake, bound, 'text', new Uint8Array(maxProposed + 1)), 'too_large')
  const to = await recipientPublic('xwing', new Uint8Array(suites.xwing.publicSize).fill(0xff))
  await refused('no key', sealProposal({ ...intake, to }, bound, 'text', utf8('a')), 'key')
})

test('copies of the value are overwritten, and the value itself is left to its owner', async () => {
  const { intake } = await controlPlane('xwing')
  const encrypt = vi.spyOn(crypto.subtle, 'encrypt')
  const value = utf8('canary-5e')
  await sealProposal(intake, bound, 'text', value)
  const sealedFrom = encrypt.mock.calls.map(([, , data]) => new Uint8Array(data as ArrayBuffer))
  expect(sealedFrom.map((b) => b.length)).toEqual([256])
  expect(sealedFrom[0]?.every((b) => b === 0)).toBe(true)
  expect(value).toEqual(utf8('canary-5e'))
})
