// What a comparison of views and audit with the log said: a line for each row that differs, and the outcome.
import type { Schema } from '../../api/client'

export type Difference = Schema['AuditDifference']

export interface Comparison {
  outcome: Schema['AuditCompared']
  /** The rows that differ, as far as they are named. */
  differences: Difference[]
}

/** The answer ended before its outcome: what is missing of it is not known. */
export class Unfinished extends Error {
  override name = 'Unfinished'

  constructor() {
    super('The answer broke off before the comparison ended, so it says nothing. Compare again.')
  }
}

/** comparisonOf reads the lines of an answer. Without the outcome as its last line it is not whole. */
export function comparisonOf(text: string): Comparison {
  const lines = text.split('\n').filter(Boolean)
  const differences: Difference[] = []
  for (const [at, line] of lines.entries()) {
    const said = read(line)
    if (said?.difference) differences.push(said.difference)
    else if (said?.outcome && at === lines.length - 1) return { outcome: said.outcome, differences }
    else break
  }
  throw new Unfinished()
}

function read(line: string): Schema['AuditComparison'] | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** keyOf is which row it is, such as "id=r_…, place=2". */
export function keyOf({ key }: Difference): string {
  return key.map(({ name, value }) => `${name}=${value}`).join(', ')
}
