/** What the palette asks for: anything, or the object of a command. */
export type Mode = 'any' | 'ask' | 'change' | 'decide' | 'scan'

export const modes: Record<Mode, { label: string; asks: string }> = {
  any: { label: '', asks: 'Search or jump to…' },
  ask: { label: 'Ask for access', asks: 'Which secret do you want to read?' },
  change: { label: 'Change', asks: 'Which secret do you want to change?' },
  decide: { label: 'Decide', asks: 'Which request do you want to decide?' },
  scan: { label: 'Scan', asks: 'Which connection is to be scanned?' },
}
