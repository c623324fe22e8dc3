/**
 * The browser's half of package seal: pure cryptography over bytes. It knows nothing of
 * the API, of React or of the page, keeps nothing, and logs nothing. The formats are in
 * docs/security/envelopes.md; the reference is `seal/` in Go.
 *
 * Values are Uint8Array, so that they can be overwritten; they become strings where they
 * are shown, and nowhere before.
 */
export { wipe } from './bytes'
export { type Entry, maxProposed, type ProposedKind } from './entry'
export { type SealCode, SealError } from './errors'
export { type Intake, type IntakeAnswer, openIntake } from './intake'
export { type ProposedFor, sealProposal } from './proposal'
export { newRecipient, type Recipient } from './recipient'
export { openRevealed, type RevealedFor } from './reveal'
