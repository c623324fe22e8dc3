import type { Bytes } from './bytes'
import { SealError } from './errors'
import { cipherSuite, openFrom, type Sealed } from './hpke'
import { keyID, printRecipientPublic, type RecipientPublic, recipientPublic } from './keys'
import { needSignatures } from './signature'

/**
 * Recipient is a key pair for one call. The private half is a field that nothing outside
 * reads: it is in no JSON, no log and no storage. It opens once, and is overwritten then.
 */
export class Recipient {
  readonly text: string // of the public half, as the API wants it
  readonly public: RecipientPublic
  #seed: Bytes | undefined

  /** The seed is the new Recipient's. */
  constructor(own: RecipientPublic, seed: Bytes) {
    this.text = printRecipientPublic(own)
    this.public = own
    this.#seed = seed
  }

  /** id is the id of the public half, as bindings have it. */
  get id(): string {
    return keyID(this.public)
  }

  /** open decrypts, or throws `open`. The second time it is `key`, whatever the first one gave. */
  async open(info: Bytes, sealed: Sealed): Promise<Bytes> {
    const seed = this.#seed
    if (!seed) {
      throw new SealError('key')
    }
    this.#seed = undefined
    try {
      const suite = await cipherSuite('xwing')
      const privateKey = await suite.kem.importKey('raw', seed.buffer, false)
      return await openFrom(suite, privateKey, info, sealed)
    } finally {
      seed.fill(0)
    }
  }
}

/**
 * newRecipient makes a key pair of X-Wing, as `sb` does (decision 0104). All that opening
 * needs of the browser and the network is here afterwards: the library is loaded, and
 * signatures can be checked. Only then may a value be used up.
 */
export async function newRecipient(): Promise<Recipient> {
  await needSignatures()
  return recipientOf(crypto.getRandomValues(new Uint8Array(32)))
}

/** recipientOf makes the pair of a seed, 32 bytes that become the Recipient's. */
export async function recipientOf(seed: Bytes): Promise<Recipient> {
  const { XWing } = await import('@hpke/hybridkem-x-wing')
  const kem = new XWing()
  const pair = await kem.generateKeyPairDerand(seed)
  const key = new Uint8Array(await kem.serializePublicKey(pair.publicKey))
  await cipherSuite('xwing')
  return new Recipient(await recipientPublic('xwing', key), seed)
}
