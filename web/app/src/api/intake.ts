import { openIntake } from '../seal'
import { clock } from '../session/renewal'
import { answer, api } from './client'

/** Who signed what this page was given first. */
let known: string | undefined

/** The server signs with another key than it did when this page came: it was rotated, or this is another server. */
export class SignerChanged extends Error {
  override name = 'SignerChanged'

  constructor() {
    super(
      'The server signs with another key than when this page was loaded. Load the page again; if an operator did not change the key, ask one first.',
    )
  }
}

/** intake has the keys that values are sealed to, from whoever was the first to sign for this page. Errors: SignerChanged, and those of openIntake. */
export async function intake() {
  const opened = await openIntake(await answer(api.GET('/intake')), new Date(clock.now()))
  known ??= opened.signer
  if (opened.signer !== known) throw new SignerChanged()
  return opened
}
