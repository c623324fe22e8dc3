// Where a secret lies, as somebody types it: CONNECTION/REF, the way it is shown everywhere.

export interface Path {
  connection: string
  ref: string
}

/** pathOf reads a whole path; undefined if it begins with nothing that a connection is called like. */
export function pathOf(text: string): Path | undefined {
  const found = /^([a-z][a-z0-9-]{0,39})\/(\S+)$/.exec(text)
  return found ? { connection: found[1] ?? '', ref: found[2] ?? '' } : undefined
}
