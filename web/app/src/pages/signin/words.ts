/** local is an address inside this application, whatever the page's query says. */
export function local(to: string): string {
  return /^\/(?![/\\])[\x21-\x7e]*$/.test(to) && !/[\\]/.test(to) && !to.startsWith('/sign-in') ? to : '/'
}

/** What became of a sign-in by the identity provider, by the stable codes of the server. */
const reasons: Record<string, string> = {
  sso_not_configured: 'There is no single sign-on here. Sign in with e-mail and password.',
  sso_unavailable: 'The identity provider cannot be asked now. Try again in a moment.',
  sso_state_invalid:
    'This sign-in was not begun in this browser, was finished before, or took longer than ten minutes. Begin again.',
  sso_denied: 'The identity provider did not sign you in.',
  sso_token_refused:
    'What the identity provider sent does not prove who you are. Begin again, and ask an administrator if it lasts.',
  sso_email_unverified: 'The identity provider does not vouch for an e-mail address of yours. Have it verified there.',
  sso_email_taken:
    'Somebody here has your e-mail address and does not come in by your account at the identity provider. Ask an administrator.',
  sso_person_disabled: 'Your account here is disabled. Ask an administrator.',
  too_many_requests: 'There were too many tries from your network. Wait a minute, and try again.',
}

/** whyNotSignedOn is a sentence for a code, also for one that is not known here. */
export function whyNotSignedOn(code: string): string {
  return reasons[code] ?? 'Single sign-on did not work. Begin again, and ask an administrator if it lasts.'
}
