import { expect, test, vi } from 'vitest'
import { intake, SignerChanged } from './intake'

const signers = ['ed25519:one', 'ed25519:one', 'ed25519:two', 'ed25519:one']

vi.mock('../seal', () => ({ openIntake: async () => ({ signer: signers.shift() }) }))
vi.stubGlobal('fetch', async () => Response.json({}))

test('a page trusts the signer that it met first, and no other until it is loaded again', async () => {
  await intake()
  await intake()
  await expect(intake()).rejects.toThrow(SignerChanged)
  await expect(intake()).resolves.toMatchObject({ signer: 'ed25519:one' })
})
