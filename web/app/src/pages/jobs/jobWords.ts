// The words for a job. A new type or state fails to compile until it has one.
import type { Job, JobState, JobType, Progress } from '../../api/jobs'
import type { Tone } from '../../parts/requestWords'
import { span } from '../../ui/time'

export const typeWords: Record<JobType, { label: string; says: string }> = {
  discover: {
    label: 'Scan',
    says: 'An agent lists what the connection holds: names, labels, versions and times, and never a value.',
  },
  fingerprint: {
    label: 'Fingerprints',
    says: 'An agent compares values under a key of its own, so that secrets that share one can be told. No value leaves it.',
  },
  keys: { label: 'Names of keys', says: 'An agent looks up the names of the keys of one secret.' },
}

export const stateWords: Record<JobState, { label: string; tone: Tone; says: string }> = {
  queued: { label: 'Waiting', tone: 'yellow', says: 'No agent has taken it yet.' },
  running: { label: 'Running', tone: 'blue', says: 'An agent works on it.' },
  finished: { label: 'Finished', tone: 'green', says: 'It was done to the end.' },
  failed: { label: 'Failed', tone: 'red', says: 'It could not be done.' },
  cancelled: { label: 'Called off', tone: 'gray', says: 'Somebody called it off. What it found until then stays.' },
}

/** title names a job: "Scan of vault". */
export function title(job: Pick<Job, 'type' | 'connection' | 'ref'>): string {
  const what = job.ref ? `${job.connection}/${job.ref}` : job.connection
  return `${typeWords[job.type].label} of ${what}`
}

/** queuedBy is who started a job. A name is there as long as the person is. */
export function queuedBy(job: Job): string {
  if (job.scheduled) return 'The schedule'
  if (job.queued_by_name) return job.queued_by_name
  return job.queued_by.startsWith('user:') ? 'Somebody who left' : 'The system'
}

const number = (n: number): string => n.toLocaleString('en')

/** perSecond is how fast a job is. Slow ones have a decimal place. */
export const perSecond = (rate: number): string => (rate >= 10 ? number(Math.round(rate)) : rate.toFixed(1))

/** shortProgress is what fits into a column. */
export function shortProgress(job: Pick<Job, 'type' | 'state' | 'progress' | 'keys'>): string {
  if (job.type === 'keys')
    return job.keys === undefined ? '' : `${number(job.keys)} ${job.keys === 1 ? 'name' : 'names'}`
  const { progress } = job
  if (!progress) return ''
  const secrets = `${number(progress.secrets)} ${progress.secrets === 1 ? 'secret' : 'secrets'}`
  if (job.state === 'running') return `${secrets}, ${perSecond(progress.per_second)} a second`
  const found = [
    ...(progress.found > 0 ? [`${number(progress.found)} new`] : []),
    ...(progress.changed > 0 ? [`${number(progress.changed)} changed`] : []),
    ...(progress.gone > 0 ? [`${number(progress.gone)} gone`] : []),
  ]
  return [secrets, ...found].join(', ')
}

/** remarks are what a job met that needs an explanation, each as a sentence. */
export function remarks(type: JobType, progress: Progress): string[] {
  const said: string[] = []
  const add = (n: number, sentence: string) => n > 0 && said.push(`${number(n)} ${sentence}`)
  if (type === 'fingerprint') {
    add(progress.skipped, 'skipped: their names cannot be written as a path here, or they could not be read.')
    add(
      progress.unlisted,
      'not listed: folders that did not open to the agent, or secrets that it cannot describe. They are not compared.',
    )
    add(progress.refused, 'values without a fingerprint: they are too easy to guess.')
    return said
  }
  add(progress.skipped, 'skipped: their names cannot be written as a path here.')
  add(
    progress.unlisted,
    'not listed: folders that did not open to the agent, or secrets that it cannot describe. As long as there is one, nothing counts as gone.',
  )
  return said
}

/** took is how long a job ran, or runs until now, in words; empty before it was taken. */
export function took(job: Pick<Job, 'taken_at' | 'ended_at'>, now: number): string {
  if (!job.taken_at) return ''
  return span(((job.ended_at ? Date.parse(job.ended_at) : now) - Date.parse(job.taken_at)) / 1000)
}

/** failureWords say what to do about a failure, where there is more to say than the server's sentence. */
export const failureWords: Partial<Record<NonNullable<Job['failure']>['code'], string>> = {
  agent_lost: 'The agent fell silent again and again. Look at its host and its log.',
  connection_unknown_to_agent:
    'Put the connection into the configuration of every agent of the cluster, under the same name.',
  fingerprint_key_missing: 'Give the agents a fingerprint key: fingerprint_key_file in their configuration.',
  job_expired: 'It was not done within its time. Is an agent of the cluster online?',
  provider_forbidden: "The store refuses the agent's credentials for this. Give them the right to list.",
  provider_sign_in_failed: "The store does not take the agent's credentials. Mend them in the agent's configuration.",
  provider_unavailable: 'The store cannot be reached from the agent. It may be down, or its address may be wrong.',
}
