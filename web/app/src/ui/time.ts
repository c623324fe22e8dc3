/** Times in a person's words. Times come from the server as RFC 3339; nothing here knows another form. */

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const absolute = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' })
const dayAndTime = new Intl.DateTimeFormat('en', {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hour12: false,
})

const dayAndSecond = new Intl.DateTimeFormat('en', {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
})

/** ago is "3 minutes ago" or "in 2 hours", of milliseconds since 1970. */
export function ago(at: number, now: number): string {
  const seconds = Math.round((at - now) / 1000)
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size)
      return relative.format(seconds < 0 ? Math.trunc(seconds / size) : Math.round(seconds / size), unit)
  }
  return seconds > 30 ? 'in a moment' : 'just now' // a few seconds ahead is the clocks' difference
}

/** span is "1 h 30 min" of seconds, to two parts. */
export function span(seconds: number): string {
  const left = Math.max(0, Math.round(seconds))
  const parts: [number, string][] = [
    [Math.floor(left / 86_400), 'd'],
    [Math.floor((left % 86_400) / 3_600), 'h'],
    [Math.floor((left % 3_600) / 60), 'min'],
    [left % 60, 's'],
  ]
  const from = parts.findIndex(([n]) => n > 0)
  if (from < 0) return '0 s'
  return parts
    .slice(from, from + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(' ')
}

/** exact is the time to the second, in this browser's zone. */
export const exact = (at: string | number | Date): string => absolute.format(new Date(at))

/** short is day, month and time. */
export const short = (at: string | number | Date): string => dayAndTime.format(new Date(at))

/** shortExact is day, month and time to the second. */
export const shortExact = (at: string | number | Date): string => dayAndSecond.format(new Date(at))
