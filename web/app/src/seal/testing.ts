import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { type Bytes, fields, sha256 } from './bytes'
import { type SealCode, SealError } from './errors'
import { recipientOf } from './recipient'
import type { RevealedFor } from './reveal'

/** The root of the repository: the Go half's test data lies there. */
export const root = fileURLToPath(new URL('../../../../', import.meta.url))

/** readJSON reads a file of the repository, compressed or not. */
export function readJSON<T>(path: string): T {
  const raw = readFileSync(root + path)
  return JSON.parse((path.endsWith('.gz') ? gunzipSync(raw) : raw).toString()) as T
}

/** unhex reads hexadecimal digits into an array that covers its buffer. */
export function unhex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

/** refused expects one code, of an error that says nothing else. */
export async function refused(what: string, attempt: Promise<unknown>, code: SealCode): Promise<void> {
  const e = await attempt.then(
    (got) => expect.fail(`${what}: not refused: ${JSON.stringify(got)}`),
    (e: unknown) => e,
  )
  expect(e, what).toBeInstanceOf(SealError)
  expect((e as SealError).code, what).toBe(code)
  expect((e as SealError).cause, what).toBeUndefined()
}

/** flipped is a copy with one bit changed. A negative index counts from the end. */
export function flipped(bytes: Uint8Array, at: number): Bytes {
  const out = new Uint8Array(bytes)
  const i = at < 0 ? out.length + at : at
  out[i] = (out[i] as number) ^ 1
  return out
}

/** The value message of a reveal that Go sealed, once and for all. */
export const golden = readJSON<{
  key: string // version, suite, seed
  signer: string
  binding: Record<string, string>
  bound: string
  plaintext: string
  sealed: string
}>('seal/testdata/golden/valuemessage-v1-reveal-xwing.json')

/** goldenRecipient is the key it is sealed to, made anew: it opens once. */
export function goldenRecipient() {
  return recipientOf(unhex(golden.key).slice(3))
}

/** goldenFor is what it is bound to. */
export const goldenFor: RevealedFor = {
  request: golden.binding.Request as string,
  envelope: golden.binding.Envelope as string,
  key: golden.binding.Key as string,
  connection: golden.binding.Connection as string,
  ref: golden.binding.Ref as string,
  me: golden.binding.Agent as string,
  notAfter: golden.binding.NotAfter as string,
}

/** A signing key of a test's own, as a control plane has one. */
export async function newSigner() {
  const pair = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  const key: Bytes = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
  return {
    key,
    text: `ed25519:${Buffer.from(key).toString('base64url')}`,
    id: await sha256(fields('secretsbridge signer key v1', key)),
    sign: async (signed: Bytes): Promise<Bytes> =>
      new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, signed)),
  }
}
