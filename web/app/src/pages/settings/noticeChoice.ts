// The words for how somebody is told.
import type { Notices } from '../../api/me'
import { noticeWords } from '../../parts/noticeWords'
import { span } from '../../ui/time'

export const channelWords: Record<Notices['channel'], string> = {
  email: 'E-mail',
  slack: 'Slack, by a webhook of your own',
  teams: 'Microsoft Teams, by a webhook of your own',
  none: 'Not at all',
}

export const mutedWords = (muted: Notices['muted']): string =>
  muted.length === 0 ? 'You are told everything' : muted.map((kind) => noticeWords[kind]).join('; ')

export const quietWords = (quiet: Notices['quiet']): string =>
  quiet ? `${quiet.from} to ${quiet.to}, ${quiet.zone}` : 'None'

export const digestWords = (seconds: number): string =>
  seconds === 0 ? 'At once; as one message only when there are many' : `One message every ${span(seconds)}`

/** The choices for how long notices are collected, in seconds. */
export const digests = [
  { value: '0', label: 'At once' },
  { value: '600', label: 'One message every 10 minutes' },
  { value: '3600', label: 'One message an hour' },
  { value: '86400', label: 'One message a day' },
]

/** zoneHere is the time zone of this browser. */
export const zoneHere = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'
