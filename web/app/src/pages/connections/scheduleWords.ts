import { span } from '../../ui/time'

/** What a schedule can be, in seconds. The server takes 15 minutes to 30 days, and 0 for never. */
export const choices = [0, 900, 3_600, 21_600, 43_200, 86_400, 604_800] as const

/** scheduleWords is how often a connection is scanned. */
export function scheduleWords(seconds: number): string {
  switch (seconds) {
    case 0:
      return 'by hand only'
    case 3_600:
      return 'every hour'
    case 86_400:
      return 'every day'
    case 604_800:
      return 'every week'
  }
  return `every ${span(seconds)}`
}
