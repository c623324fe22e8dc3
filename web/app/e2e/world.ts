// A small company to take pictures of, made as its people would make it: by the API, with approvals and
// an agent that carries things out.
import { randomUUID } from 'node:crypto'
import { request } from '@playwright/test'
import { type Caller, expect, url } from './fixtures'

/** Somebody who is there only in this world. */
export interface Citizen {
  id: string
  name: string
  email: string
  password: string
}

/** newEmail is one that nobody else has. */
function newEmail(name: string): string {
  const readable = name
    .toLowerCase()
    .replaceAll(/[^a-z]+/g, '.')
    .slice(0, 30)
  return `${readable}.${randomUUID().slice(0, 8)}@example.org`.replaceAll(/\.{2,}/g, '.').replace(/^\./, '')
}

/** invite lets somebody in and sets their password by the link, as they would. */
export async function invite(
  operator: Caller,
  name: string,
  grants: { role: string; scope?: object }[],
  email = newEmail(name),
): Promise<Citizen> {
  const password = `four words that ${randomUUID()}`
  const invited = await operator.post<{ person: string; link: string }>('/people', { email, name })
  const anonymous = await request.newContext({ baseURL: url(), ignoreHTTPSErrors: true })
  const token = new URL(invited.link).hash.replace('#link=', '')
  const redeemed = await anonymous.post('/api/v1/links/redeem', { data: { token, password } })
  expect(redeemed.ok(), await redeemed.text()).toBe(true)
  await anonymous.dispose()
  for (const grant of grants) await operator.post(`/people/${invited.person}/grants`, grant)
  return { id: invited.person, name, email, password }
}

interface Request {
  id: string
  state: string
}

/** until waits for a request to come to a state, as its requester sees it. */
export async function until(caller: Caller, id: string, state: string): Promise<void> {
  await expect.poll(async () => (await caller.get<Request>(`/requests/${id}`)).state, { timeout: 30_000 }).toBe(state)
}

/** ask submits a request to read. */
export async function ask(caller: Caller, secret: string, reason: string, more: object = {}): Promise<string> {
  return (await caller.post<{ id: string }>('/requests', { secret, reason, ...more })).id
}

/** World is who and what the pictures show. */
interface World {
  requests: Record<'pending' | 'done' | 'ready' | 'denied', string>
}

const object = (kind: string, name: string, spec: object) => ({ kind, name, spec })

/** build sets up teams, projects, a stricter way to production, and requests in all states. */
export async function build(callers: { olu: Caller; dana: Caller; ada: Caller }): Promise<World> {
  const { olu, dana, ada } = callers
  const me = async (who: Caller) => (await who.get<{ id: string }>('/me')).id
  const everybody = [
    await invite(olu, 'Mira Okafor', [{ role: 'developer' }], 'mira@example.org'),
    await invite(olu, 'Jonas Lindqvist', [{ role: 'approver' }, { role: 'developer' }], 'jonas@example.org'),
    await invite(olu, 'Priya Raman', [{ role: 'approver' }], 'priya@example.org'),
  ]
  const [mira, jonas, priya] = everybody as [Citizen, Citizen, Citizen]
  const { version } = await olu.get<{ version: number }>('/governance')
  await olu.post('/governance/apply', {
    version,
    note: 'teams, projects, and two pairs of eyes for production',
    set: [
      object('Team', 'engineering', { description: 'everybody who builds', heads: [jonas.id] }),
      object('Team', 'payments', {
        description: 'checkout and billing',
        parent: 'engineering',
        heads: [priya.id],
        members: [await me(dana), mira.id],
      }),
      object('Team', 'platform', { description: 'what others build on', parent: 'engineering', heads: [jonas.id] }),
      object('Group', 'payments-oncall', {
        description: 'who is awake for payments',
        members: [await me(ada), priya.id],
      }),
      object('Project', 'shop', {
        description: 'the checkout',
        team: 'payments',
        environments: [
          { name: 'prod', kind: 'prod', description: 'what customers use' },
          { name: 'staging', kind: 'non-prod', description: 'where releases are tried' },
        ],
      }),
      object('Binding', 'shop-prod', {
        connection: 'file',
        prefix: 'prod',
        project: 'shop',
        environment: 'prod',
        operations: ['read', 'patch'],
      }),
      object('Binding', 'shop-staging', {
        connection: 'file',
        prefix: 'staging',
        project: 'shop',
        environment: 'staging',
        operations: ['read', 'patch'],
      }),
      object('Workflow', 'production', {
        description: 'on call first, then the heads of the team',
        delegation: true,
        justification: { min_length: 12 },
        steps: [
          { id: 'on-call', approvals: 1, from: { groups: ['payments-oncall'] }, remind_after_seconds: 900 },
          {
            id: 'heads',
            approvals: 1,
            from: { team_heads: true },
            escalate_after_seconds: 3600,
            fallback: { roles: ['admin'] },
          },
        ],
        break_glass: {
          from: { roles: ['developer'] },
          review: { team_heads: true },
          review_within_seconds: 86400,
          min_length: 20,
        },
      }),
      object('Rule', 'stripe-needs-two', {
        description: 'keys that move money need two pairs of eyes',
        priority: 100,
        scope: { connection: 'file', prefix: 'prod/payments' },
        effect: 'require',
        workflow: 'production',
      }),
    ],
  })
  const scan = await olu.post<{ id: string }>('/jobs', { type: 'discover', connection: 'file' })
  await expect
    .poll(async () => (await olu.get<{ state: string }>(`/jobs/${scan.id}`)).state, { timeout: 60_000 })
    .toBe('finished')

  const done = await ask(dana, 'file/staging/mail/smtp', 'The mail relay refuses our log-in since the upgrade', {
    keys: ['user', 'password'],
  })
  await ada.post(`/requests/${done}/approve`, { comment: 'Please rotate it afterwards.' })
  await until(dana, done, 'executed')
  const ready = await ask(dana, 'file/prod/db/password', 'Restore test on Tuesday, see the runbook', {
    ticket: 'OPS-412',
  })
  await ada.post(`/requests/${ready}/approve`, {})
  await until(dana, ready, 'executed')
  const denied = await ask(dana, 'file/prod/db/password', 'I want to look around')
  await ada.post(`/requests/${denied}/reject`, { comment: 'Use the read replica for that.' })
  const pending = await ask(dana, 'file/prod/payments/stripe', 'The webhook signature check fails for refunds', {
    keys: ['webhook_secret'],
    ticket: 'PAY-1290',
  })
  for (const reason of [
    'Compare the pool settings with staging',
    'Nightly export cannot log in',
    'Prove the rotation of last week',
  ]) {
    await ask(dana, 'file/prod/db/password', reason)
  }
  return { requests: { pending, done, ready, denied } }
}
