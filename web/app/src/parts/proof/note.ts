// A signed checkpoint of the log as text (c2sp.org/tlog-checkpoint, c2sp.org/signed-note). It is read
// to be shown; verifying it is a matter of programs that this server did not send.

/** Checkpoint is what a signed checkpoint says. */
export interface Checkpoint {
  /** The name of the log. */
  origin: string
  /** How many commits the log had. */
  size: number
  /** The root of its tree, in base64. */
  root: string
  signers: Signer[]
}

/** Signer is one who signed it. */
export interface Signer {
  name: string
  /** When a witness saw it; the log's own signature has no time. */
  at?: Date
}

/** The bytes of a cosignature: key hash, time and Ed25519 signature (c2sp.org/tlog-cosignature). */
const cosignatureBytes = 4 + 8 + 64

/** readCheckpoint takes a signed checkpoint apart, or returns nothing where it is none. */
export function readCheckpoint(text: string): Checkpoint | undefined {
  const end = text.indexOf('\n\n')
  if (end < 0) return undefined
  const [origin, size, root, ...extra] = text.slice(0, end).split('\n')
  if (!origin || !root || extra.length > 0 || !/^(0|[1-9]\d{0,14})$/.test(size ?? '')) return undefined
  const signers: Signer[] = []
  for (const line of text.slice(end + 2).split('\n')) {
    if (line === '') continue
    const [, name, signature] = /^— (\S+) (\S+)$/.exec(line) ?? []
    if (!name || !signature) return undefined
    const at = timeOf(signature)
    signers.push(at ? { name, at } : { name })
  }
  return signers.length > 0 ? { origin, size: Number(size), root, signers } : undefined
}

function timeOf(signature: string): Date | undefined {
  let bytes: string
  try {
    bytes = atob(signature)
  } catch {
    return undefined
  }
  if (bytes.length !== cosignatureBytes) return undefined
  let seconds = 0
  for (let i = 4; i < 12; i++) seconds = seconds * 256 + bytes.charCodeAt(i)
  return new Date(seconds * 1000)
}
