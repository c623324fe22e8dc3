// What must hold before any other code of the application runs. Imported first by main.tsx.
import { setNonce } from 'get-nonce'

declare global {
  interface Window {
    trustedTypes?: { createPolicy(name: string, rules: { createHTML(text: string): string }): unknown }
  }
}

/** The nonce that the server gave to the styles of this answer. */
export const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''

setNonce(nonce) // of the library that locks scrolling behind dialogs

// Components set the text of style elements as HTML. Nothing here ever needs markup that way, so
// whatever looks like markup is an attack, or a defect.
window.trustedTypes?.createPolicy('default', {
  createHTML(text) {
    if (text.includes('<')) throw new TypeError('markup in a text')
    return text
  },
})
