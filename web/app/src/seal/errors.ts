/** What can go wrong. The codes match the sentinel errors of the Go package seal. */
export type SealCode = keyof typeof sentences

const sentences = {
  unsupported: 'this browser cannot check signatures or seal values; use a current one, over https',
  malformed: 'malformed sealed bytes',
  suite: 'unknown version or cipher suite',
  key: 'not a usable key',
  signature: 'signature not by a trusted key',
  expired: 'the keys are past their end',
  open: 'sealed bytes do not open under this key and binding',
  binding: 'incomplete binding',
  too_large: 'value is too large to seal',
  value: 'value is neither UTF-8 text nor JSON of another kind than a string',
} as const

/**
 * SealError says why something was not sealed or opened: a code to branch on and a sentence
 * that is always the same. It holds nothing of the input, and no cause: a library's error
 * could.
 */
export class SealError extends Error {
  readonly code: SealCode

  constructor(code: SealCode) {
    super(sentences[code])
    this.name = 'SealError'
    this.code = code
  }
}
